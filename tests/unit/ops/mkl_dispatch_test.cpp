#include <ATen/ATen.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace ddro::ops {
namespace {

// LibTorch exports the function too: which of the two the dynamic linker finds first decides what MKL uses.
TEST(MklDispatch, AsksTheProgramAndNotItself) {
  void* symbol = dlsym(RTLD_DEFAULT, "mkl_serv_intel_cpu_true");
  ASSERT_NE(symbol, nullptr);
  Dl_info info{};
  ASSERT_NE(dladdr(symbol, &info), 0);
  EXPECT_EQ(std::filesystem::path(info.dli_fname).filename(),
            std::filesystem::read_symlink("/proc/self/exe").filename());
}

TEST(MklDispatch, ProductsStayRight) {
  const at::Tensor a = at::randn({33, 65}, at::kDouble);
  const at::Tensor b = at::randn({65, 31}, at::kDouble);
  const at::Tensor product = at::mm(a.to(at::kFloat), b.to(at::kFloat)).to(at::kDouble);
  EXPECT_LT((product - at::mm(a, b)).norm().item<double>(), 1e-6 * at::mm(a, b).norm().item<double>());
}

}  // namespace
}  // namespace ddro::ops
