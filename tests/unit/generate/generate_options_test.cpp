#include "ddro/generate/generate_options.h"

#include <cmath>

#include "support/expect_error.h"

namespace ddro::generate {
namespace {

using ::testing::HasSubstr;

std::string refusal(const std::function<void(GenerateOptions&)>& change) {
  GenerateOptions options;
  options.validate();
  change(options);
  return ddro::test::message_of(ErrorKind::kInput, [&] { options.validate(); });
}

TEST(GenerateOptions, RefusesWhatIsOutOfRangeByTheNameOfItsOption) {
  EXPECT_EQ(refusal([](auto& o) { o.sampling.temperature = -0.5; }),
            "[--temperature] is out of range; got -0.5, expected a number of at least 0 (0: greedy)");
  EXPECT_THAT(refusal([](auto& o) { o.sampling.temperature = std::nan(""); }), HasSubstr("[--temperature]"));
  EXPECT_THAT(refusal([](auto& o) { o.sampling.temperature = HUGE_VAL; }), HasSubstr("[--temperature]"));
  EXPECT_THAT(refusal([](auto& o) { o.sampling.top_k = -1; }), HasSubstr("[--top-k]"));
  EXPECT_THAT(refusal([](auto& o) { o.sampling.top_p = 0; }), HasSubstr("[--top-p]"));
  EXPECT_THAT(refusal([](auto& o) { o.sampling.top_p = 1.01; }), HasSubstr("[--top-p]"));
  EXPECT_THAT(refusal([](auto& o) { o.sampling.top_p = std::nan(""); }), HasSubstr("[--top-p]"));
  EXPECT_THAT(refusal([](auto& o) { o.max_new_tokens = 0; }), HasSubstr("[--max-new-tokens]"));
  EXPECT_THAT(refusal([](auto& o) { o.max_new_tokens = std::int64_t{1} << 40; }),
              HasSubstr("[--max-new-tokens]"));
  EXPECT_THAT(refusal([](auto& o) { o.num_samples = 0; }), HasSubstr("[--num-samples]"));
  EXPECT_THAT(refusal([](auto& o) { o.batch_size = 0; }), HasSubstr("[--batch-size]"));
  EXPECT_THAT(refusal([](auto& o) { o.seed = -1; }), HasSubstr("[--seed]"));
  EXPECT_THAT(refusal([](auto& o) { o.stop = {"x", ""}; }), HasSubstr("[--stop]"));
}

TEST(GenerateOptions, NamesTheKeyOfASection) {
  GenerateOptions options;
  options.validate("eval");
  options.max_new_tokens = 0;
  EXPECT_THAT(ddro::test::message_of(ErrorKind::kInput, [&] { options.validate("eval"); }),
              HasSubstr("[eval.max_new_tokens] is out of range; got 0"));
}

}  // namespace
}  // namespace ddro::generate
