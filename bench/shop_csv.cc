// Writes the workload as two CSV files, for other engines to load.   shop_csv FOLDER [--events N] [--people
// N]
//
//   people.csv   person,tier
//   events.csv   seq,time,person,event,category,product,cents,order_no     in order of time; seq from 1
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "workload.h"

namespace tailrace::bench {
namespace {

// Lines go out in pieces of a megabyte.
class Csv {
 public:
  Csv(const std::string& path, std::string_view header)
      : file_(std::fopen(path.c_str(), "wb"), &std::fclose) {
    if (!file_) fail();
    text_ = header;
  }
  ~Csv() { flush(); }
  Csv(const Csv&) = delete;
  Csv& operator=(const Csv&) = delete;
  template <class... Values>
  void line(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Values>(values)...);
    if (text_.size() > (1u << 20)) flush();
  }

 private:
  void flush() {
    if (std::fwrite(text_.data(), 1, text_.size(), file_.get()) != text_.size()) fail();
    text_.clear();
  }
  [[noreturn]] static void fail() {
    std::perror("cannot write");
    std::exit(1);
  }
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::string text_;
};

int run(int count, char** values) {
  const std::string folder = values[1];
  const Shape shape{.people = argument(count, values, "people", 10'000),
                    .events = argument(count, values, "events", 1'000'000)};
  Csv people(folder + "/people.csv", "person,tier\n");
  for (std::uint32_t person = 0; person < shape.people; ++person) {
    people.line("{},{}\n", person, margin_tier(shape, person));
  }
  Csv events(folder + "/events.csv", "seq,time,person,event,category,product,cents,order_no\n");
  Shop shop(shape);
  for (std::uint64_t i = 1; i <= shape.events; ++i) {
    const ShopEvent event = shop.next();
    events.line("{},{},{},{},{},{},{},{}\n", i, event.time.ms, event.person, event.name, event.category,
                event.product, event.cents, event.order);
  }
  return 0;
}

}  // namespace
}  // namespace tailrace::bench

int main(int count, char** values) {
  if (count < 2) {
    fmt::print(stderr, "usage: shop_csv FOLDER [--events N] [--people N]\n");
    return 2;
  }
  return tailrace::bench::run(count, values);
}
