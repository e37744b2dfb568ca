#include "jinja/integers.h"

#include <gmpxx.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "jinja/limits.h"

namespace ddro::jinja {

struct BigInteger {
  mpz_class value;
};

namespace {

mpz_class to_big(const Value& value) {
  if (const BigInteger* big = value.big_integer()) return big->value;
  return static_cast<long>(value.integer());
}

// In 64 bits if it fits.
Value from_big(mpz_class value) {
  if (value.fits_slong_p()) return {static_cast<std::int64_t>(value.get_si())};
  return {std::make_shared<const BigInteger>(BigInteger{std::move(value)})};
}

void charge_bits(Machine& machine, double bits) {
  if (bits > kMaxIntegerBits) {
    machine.fail("the template makes an integer of more than " + std::to_string(kMaxIntegerBits) + " bits");
  }
  machine.charge(1 + static_cast<std::uint64_t>(bits) / 64);
}

double bits_of(const mpz_class& value) { return static_cast<double>(mpz_sizeinbase(value.get_mpz_t(), 2)); }

// a / b rounded once: 63 bits of the quotient, and one that says whether there are more.
double divide(const mpz_class& a, const mpz_class& b) {
  const long shift = 63 - static_cast<long>(bits_of(a)) + static_cast<long>(bits_of(b));
  mpz_class numerator = abs(a);
  mpz_class denominator = abs(b);
  if (shift > 0) {
    numerator <<= static_cast<unsigned long>(shift);
  } else {
    denominator <<= static_cast<unsigned long>(-shift);
  }
  mpz_class quotient, rest;
  mpz_tdiv_qr(quotient.get_mpz_t(), rest.get_mpz_t(), numerator.get_mpz_t(), denominator.get_mpz_t());
  const unsigned long rounded = quotient.get_ui() | (rest != 0 ? 1UL : 0UL);
  const double size = std::ldexp(static_cast<double>(rounded), static_cast<int>(-shift));
  return (a < 0) != (b < 0) ? -size : size;
}

Value power(Machine& machine, const Value& base, const Value& exponent) {
  if (to_big(exponent) < 0) {
    if (to_big(base) == 0) machine.fail("0.0 cannot be raised to a negative power");
    const double a = integer_to_real(base);
    const double b = integer_to_real(exponent);
    if (std::isinf(a) || std::isinf(b)) machine.fail("int too large to convert to float");
    return {std::pow(a, b)};
  }
  mpz_class result = to_big(base);
  if (abs(result) <= 1) {
    const mpz_class times = to_big(exponent);
    if (times == 0) return {std::int64_t{1}};
    return from_big(mpz_even_p(times.get_mpz_t()) != 0 ? abs(result) : result);
  }
  charge_bits(machine, bits_of(result) * integer_to_real(exponent));
  mpz_pow_ui(result.get_mpz_t(), result.get_mpz_t(), static_cast<unsigned long>(exponent.integer()));
  return from_big(std::move(result));
}

Value quotient(Machine& machine, Operator which, const mpz_class& a, const mpz_class& b) {
  if (b == 0)
    machine.fail(which == Operator::kDiv ? "division by zero" : "integer division or modulo by zero");
  machine.charge(1 + static_cast<std::uint64_t>(bits_of(a)) / 64);
  if (which == Operator::kDiv) {
    const double result = divide(a, b);
    if (std::isinf(result)) machine.fail("integer division result too large for a float");
    return {result};
  }
  mpz_class result;
  if (which == Operator::kMod) {
    mpz_fdiv_r(result.get_mpz_t(), a.get_mpz_t(), b.get_mpz_t());
  } else {
    mpz_fdiv_q(result.get_mpz_t(), a.get_mpz_t(), b.get_mpz_t());
  }
  return from_big(std::move(result));
}

// The common cases: 64 bits, and a result that fits.
std::optional<Value> small_arithmetic(Operator which, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  const bool overflow = which == Operator::kAdd   ? __builtin_add_overflow(a, b, &result)
                        : which == Operator::kSub ? __builtin_sub_overflow(a, b, &result)
                        : which == Operator::kMul ? __builtin_mul_overflow(a, b, &result)
                                                  : true;
  if (overflow) return std::nullopt;
  return Value{result};
}

}  // namespace

Value integer_arithmetic(Machine& machine, Operator which, const Value& left, const Value& right) {
  if (!left.big_integer() && !right.big_integer()) {
    if (const auto small = small_arithmetic(which, left.integer(), right.integer())) return *small;
  }
  if (which == Operator::kPow) return power(machine, left, right);
  const mpz_class a = to_big(left);
  const mpz_class b = to_big(right);
  switch (which) {
    case Operator::kAdd:
    case Operator::kSub:
      charge_bits(machine, std::max(bits_of(a), bits_of(b)) + 1);
      return from_big(which == Operator::kAdd ? mpz_class(a + b) : mpz_class(a - b));
    case Operator::kMul:
      charge_bits(machine, bits_of(a) + bits_of(b));
      return from_big(a * b);
    default:
      return quotient(machine, which, a, b);
  }
}

Value negate_integer(Machine& machine, const Value& value) {
  return integer_arithmetic(machine, Operator::kSub, {std::int64_t{0}}, value);
}

Value absolute_integer(Machine& machine, const Value& value) {
  return to_big(value) < 0 ? negate_integer(machine, value) : from_big(to_big(value));
}

std::partial_ordering compare_numbers(const Value& left, const Value& right) {
  if (left.real() && right.real()) return *left.real() <=> *right.real();
  if (left.real()) return 0 <=> compare_numbers(right, left);
  if (!right.real()) {
    if (!left.big_integer() && !right.big_integer()) return left.integer() <=> right.integer();
    return cmp(to_big(left), to_big(right)) <=> 0;
  }
  if (std::isnan(*right.real())) return std::partial_ordering::unordered;
  return mpz_cmp_d(to_big(left).get_mpz_t(), *right.real()) <=> 0;
}

std::optional<Value> read_integer(std::string_view digits, int base) {
  mpz_class value;
  if (digits.empty() || value.set_str(std::string(digits), base) != 0) return std::nullopt;
  return from_big(std::move(value));
}

std::string write_integer(Machine& machine, const Value& value, int base) {
  if (!value.big_integer() && base == 10) return std::to_string(value.integer());
  const mpz_class big = to_big(value);
  const size_t digits = mpz_sizeinbase(big.get_mpz_t(), base);  // at most one too many
  machine.charge_text(digits);
  std::string text = big.get_str(base);
  if (base == 10 && text.size() - (big < 0 ? 1 : 0) > kMaxDecimalDigits) {
    machine.fail("Exceeds the limit (" + std::to_string(kMaxDecimalDigits) +
                 " digits) for integer string conversion");
  }
  return text;
}

Value truncate_real(double real) { return from_big(mpz_class(real)); }

double integer_to_real(const Value& value) {
  const BigInteger* big = value.big_integer();
  return big == nullptr ? static_cast<double>(value.integer()) : divide(big->value, 1);
}

std::string whole_number_key(const Value& value) {
  if (const double* real = value.real()) {
    return std::isfinite(*real) && *real == std::floor(*real) ? mpz_class(*real).get_str() : "";
  }
  return value.big_integer() ? value.big_integer()->value.get_str() : std::to_string(value.integer());
}

}  // namespace ddro::jinja
