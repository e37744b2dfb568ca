// Whether packing a weight once, as MKL wants it, pays: products of float32 on one thread, with the weight as
// it is and packed beforehand, forward (x W^T) and to the input (dy W). The two need forms of their own.
//
//   pack_bench [--tokens N] [--repeats N]
//
// Prints one JSON object a product: CPU seconds (the lower quartile) of the product as it is, of that with
// what was packed, and of packing; and how many times the weight's bytes the packed form takes.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/base/tensor.h"

// BLAS and MKL's packed products in Fortran's binding, which LibTorch exports.
extern "C" {
void sgemm_(const char* a_form, const char* b_form, const int* m, const int* n, const int* k,
            const float* alpha, const float* a, const int* a_stride, const float* b, const int* b_stride,
            const float* beta, float* c, const int* c_stride);
std::size_t sgemm_pack_get_size_(const char* which, const int* m, const int* n, const int* k);
void sgemm_pack_(const char* which, const char* form, const int* m, const int* n, const int* k,
                 const float* alpha, const float* source, const int* stride, float* packed);
void sgemm_compute_(const char* a_form, const char* b_form, const int* m, const int* n, const int* k,
                    const float* a, const int* a_stride, const float* b, const int* b_stride,
                    const float* beta, float* c, const int* c_stride);
}

namespace ddro {
namespace {

double cpu_seconds(const auto& work) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double start = now();
  work();
  return now() - start;
}

double lower_quartile(std::vector<double> seconds) {
  std::ranges::sort(seconds);
  return seconds[seconds.size() / 4];
}

// Of a weight of `out` rows and `in` columns. Fortran's matrices are columns: the weight is the first factor.
Json measure(int tokens, int out, int in, bool to_input, int repeats) {
  const int rows = to_input ? in : out, terms = to_input ? out : in;
  const char* const form = to_input ? "N" : "T";
  const float one = 1, zero = 0;
  const Tensor weight = at::randn({out, in}), x = at::randn({tokens, terms}), y = at::empty({tokens, rows}),
               twin = at::empty({tokens, rows});
  const std::size_t bytes = sgemm_pack_get_size_("A", &rows, &tokens, &terms);
  const Tensor packed = at::empty({static_cast<std::int64_t>(bytes / sizeof(float) + 1)});
  std::vector<double> plain, packing, computing;
  for (int i = 0; i < repeats; ++i) {
    plain.push_back(cpu_seconds([&] {
      sgemm_(form, "N", &rows, &tokens, &terms, &one, weight.data_ptr<float>(), &in, x.data_ptr<float>(),
             &terms, &zero, y.data_ptr<float>(), &rows);
    }));
    packing.push_back(cpu_seconds([&] {
      sgemm_pack_("A", form, &rows, &tokens, &terms, &one, weight.data_ptr<float>(), &in,
                  packed.data_ptr<float>());
    }));
    computing.push_back(cpu_seconds([&] {
      sgemm_compute_("P", "N", &rows, &tokens, &terms, packed.data_ptr<float>(), &rows, x.data_ptr<float>(),
                     &terms, &zero, twin.data_ptr<float>(), &rows);
    }));
  }
  return {{"out", out},
          {"in", in},
          {"product", to_input ? "to the input" : "forward"},
          {"tokens", tokens},
          {"seconds", lower_quartile(plain)},
          {"packed", lower_quartile(computing)},
          {"packing", lower_quartile(packing)},
          {"size", static_cast<double>(bytes) / static_cast<double>(weight.nbytes())},
          {"difference", (y - twin).abs().max().item<double>()}};
}

}  // namespace
}  // namespace ddro

int main(int argc, char** argv) {
  int tokens = 1024, repeats = 15;
  CLI::App app{"Products with weights packed beforehand"};
  app.add_option("--tokens", tokens);
  app.add_option("--repeats", repeats);
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(1);
  // SmolLM2-135M's: queries, keys and values; gate and up; what both are followed by.
  const std::pair<int, int> shapes[] = {{960, 576}, {3072, 576}, {576, 576}, {576, 1536}};
  for (const auto& [out, in] : shapes) {
    for (const bool to_input : {false, true})
      std::puts(ddro::measure(tokens, out, in, to_input, repeats).dump().c_str());
  }
}
