// The only file that sees gloo's and NCCL's headers. Gloo's are older than the gloo in LibTorch: its types
// are never touched here, only ProcessGroupGloo's own methods.
#include "dist/group.h"

#include <cstdlib>
#include <exception>
#include <numeric>
#include <string>
#include <torch/csrc/distributed/c10d/FlightRecorder.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#include <utility>

#include "ddro/base/activity.h"
#include "ddro/base/error.h"
#include "dist/sockets.h"

namespace ddro::dist {
namespace {

using c10d::ProcessGroupGloo;
using c10d::ProcessGroupNCCL;

constexpr int kSwapTag = 0;  // what two ranks send to each other arrives in its order

c10::intrusive_ptr<c10d::Store> named(const char* name, Meeting& meeting) {
  return c10::make_intrusive<c10d::PrefixStore>(name, meeting.connect());
}

c10::intrusive_ptr<ProcessGroupGloo> make_gloo(const Launch& launch, Meeting& meeting,
                                               std::chrono::seconds timeout) {
  const auto options = ProcessGroupGloo::Options::create(timeout);
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  options->devices.push_back(interface != nullptr ? ProcessGroupGloo::createDeviceForInterface(interface)
                                                  : ProcessGroupGloo::createDeviceForHostname(
                                                        own_address_towards(launch.address, timeout)));
  return c10::make_intrusive<ProcessGroupGloo>(named("gloo", meeting), launch.rank, launch.size, options);
}

c10::intrusive_ptr<ProcessGroupNCCL> make_nccl(const Launch& launch, Meeting& meeting,
                                               const GroupOptions& options) {
  const auto nccl = ProcessGroupNCCL::Options::create();
  // Its own watch ends a process without a word; the meeting's comes before, of beats and of exchanges.
  nccl->timeout = 2 * options.timeout + kTimeToExplain;
  auto group = c10::make_intrusive<ProcessGroupNCCL>(named("nccl", meeting), launch.rank, launch.size, nccl);
  group->setBoundDeviceId(options.device);
  return group;
}

std::string first_line(const std::string& text) { return printable(text.substr(0, text.find('\n')), 300); }

class Group : public Communicator {
 public:
  Group(const Launch& launch, Meeting& meeting, const GroupOptions& options)
      : Communicator(launch.rank, launch.size), meeting_(meeting) {
    const Doing waits(Activity::kRanks);
    meeting.count_exchange();
    explained([&] {
      gloo_ = make_gloo(launch, meeting, options.timeout);
      if (options.nccl) nccl_ = make_nccl(launch, meeting, options);
    });
  }
  // Behind an error there may be exchanges under way that nobody comes to: a shutdown would wait for them.
  ~Group() override {
    if (!nccl_) return;
    if (std::uncaught_exceptions() > 0) {
      nccl_->abort();
    } else {
      nccl_->shutdown();
    }
  }

  Arrival begin_all_reduce(const Tensor& tensor) const override {
    std::vector<at::Tensor> tensors{tensor};
    return begun([&] { return backend_of(tensor).allreduce(tensors); }, [tensor] { return tensor; });
  }

  Arrival begin_reduce_scatter(const Tensor& rows_WN) const override {
    return rows_WN.is_cuda() && nccl_ ? reduce_scatter_in_nccl(rows_WN) : sum_of_own_row(rows_WN);
  }

  Arrival begin_all_gather(const Tensor& own_N) const override {
    Tensor in = own_N;
    Tensor out = at::empty({size() * in.numel()}, in.options());
    return begun([&] { return backend_of(in)._allgather_base(out, in); },
                 [in, out, ranks = size()] {
                   return out.view({ranks, in.numel()});
                 });
  }

  // Who receives says so first: Gloo sends nothing before, and then straight to where it belongs.
  std::function<void()> begin_swap(const TensorsByRank& to_each,
                                   const TensorsByRank& from_each) const override {
    meeting_.count_exchange();
    std::vector<c10::intrusive_ptr<c10d::Work>> works;
    const auto begin_each = [&](const TensorsByRank& by_rank, const auto& begin) {
      for (int next = 1; next < size(); ++next) {
        const int other = (rank() + next) % size();
        for (const Tensor& tensor : by_rank[static_cast<size_t>(other)]) {
          std::vector<at::Tensor> one{tensor};
          works.push_back(begin(one, other));
        }
      }
    };
    explained([&] {
      begin_each(from_each, [&](auto& one, int from) { return gloo_->recv(one, from, kSwapTag); });
      begin_each(to_each, [&](auto& one, int to) { return gloo_->send(one, to, kSwapTag); });
    });
    return [this, works = std::move(works)] {
      const Doing waits(Activity::kRanks);
      explained([&] {
        for (const auto& work : works) work->wait();
      });
    };
  }

  Tensor all_to_all(const std::vector<Tensor>& for_each,
                    const std::vector<std::int64_t>& from_each) const override {
    Tensor in = at::cat(for_each);
    const std::int64_t received = std::accumulate(from_each.begin(), from_each.end(), std::int64_t{0});
    Tensor out = at::empty({received}, in.options());
    std::vector<std::int64_t> in_sizes, out_sizes = from_each;
    for (const Tensor& one : for_each) in_sizes.push_back(one.numel());
    return begun([&] { return backend_of(in).alltoall_base(out, in, out_sizes, in_sizes); },
                 [out] { return out; })();
  }

  std::vector<std::string> exchange(const std::string& said) const override {
    return meeting_.exchange(said);
  }

 private:
  Arrival reduce_scatter_in_nccl(const Tensor& rows_WN) const {
    Tensor in = rows_WN;
    Tensor out = at::empty({in.size(1)}, in.options());
    return begun([&] { return nccl_->_reduce_scatter_base(out, in); }, [in, out] { return out; });
  }

  // Gloo's own reduces all rows everywhere. This moves as few bytes as can be, and adds up in the order of
  // the ranks.
  Arrival sum_of_own_row(const Tensor& rows_WN) const {
    Tensor in = rows_WN;
    Tensor out = at::empty_like(in);
    std::vector<std::int64_t> equal_parts;
    return begun([&] { return backend_of(in).alltoall_base(out, in, equal_parts, equal_parts); },
                 [in, out] {
                   Tensor sum_N = out[0];
                   for (std::int64_t rank = 1; rank < out.size(0); ++rank) sum_N.add_(out[rank]);
                   return sum_N;
                 });
  }

  c10d::Backend& backend_of(const Tensor& tensor) const {
    if (tensor.is_cuda() && nccl_) return *nccl_;
    return *gloo_;
  }

  // `begin` gives the work to wait for; `result` has its tensors, and is called behind it.
  template <typename Begin, typename Result>
  Arrival begun(const Begin& begin, const Result& result) const {
    meeting_.count_exchange();
    c10::intrusive_ptr<c10d::Work> work;
    explained([&] { work = begin(); });
    return [this, work, result] {
      const Doing waits(Activity::kRanks);
      explained([&] { work->wait(); });
      return result();
    };
  }

  template <typename Talk>
  void explained(const Talk& talk) const {
    std::string reason;
    try {
      return talk();
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      reason = first_line(error.what());
    }
    meeting_.explain(reason);
  }

  Meeting& meeting_;
  c10::intrusive_ptr<ProcessGroupGloo> gloo_;
  c10::intrusive_ptr<ProcessGroupNCCL> nccl_;
};

}  // namespace

std::unique_ptr<Communicator> make_group(const Launch& launch, Meeting& meeting,
                                         const GroupOptions& options) {
  return std::make_unique<Group>(launch, meeting, options);
}

std::string recorded_exchanges(bool with_nccl) {
  std::string all =
      "{\"gloo\":" + c10d::dump_fr_trace_json(/*includeCollectives=*/true, /*onlyActive=*/false);
  if (with_nccl)
    all += ",\"nccl\":" + c10d::dump_nccl_trace_json(/*includeCollectives=*/true, /*onlyActive=*/false);
  return all + "}\n";
}

}  // namespace ddro::dist
