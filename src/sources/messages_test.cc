#include "sources/messages.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libdeflate.h>

#include "model/json.h"

namespace tailrace::sources {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string gzip(std::string_view text) {
  libdeflate_compressor* compressor = libdeflate_alloc_compressor(6);
  std::string out(libdeflate_gzip_compress_bound(compressor, text.size()), '\0');
  out.resize(libdeflate_gzip_compress(compressor, text.data(), text.size(), out.data(), out.size()));
  libdeflate_free_compressor(compressor);
  return out;
}

class Messages : public testing::Test {
 protected:
  Messages() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tailrace-messages-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = pattern;
  }
  ~Messages() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, std::string_view bytes) {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  Result<std::unique_ptr<MessageReader>> open(std::string_view file, std::string_view mapping) {
    const std::string path = write("file", file);
    return MessageReader::open(path, mapping.empty() ? "" : write("mapping.yaml", mapping));
  }
  // Each message as "LINE JSON", or "LINE !PROBLEM: RAW"; an error, without the folder, comes last.
  std::vector<std::string> read(std::string_view file, std::string_view mapping = "") {
    std::vector<std::string> out;
    auto reader = open(file, mapping);
    if (!reader) return {short_form(reader.error().message)};
    Message message;
    for (;;) {
      const auto more = (*reader)->next(message);
      if (!more) out.push_back(short_form(more.error().message));
      if (!more || !*more) return out;
      out.push_back(message.problem.empty()
                        ? fmt::format("{} {}", message.line, message.json)
                        : fmt::format("{} !{}: {}", message.line, message.problem, message.json));
    }
  }
  // Each row's properties under a mapping of columns a and b.
  std::vector<std::string> rows(std::string_view file) {
    return read(file, "type: identify\ntraits:\n  a: {column: a}\n  b: {column: b}\n");
  }
  std::string short_form(std::string text) const {
    const std::string prefix = folder_.string() + "/";
    for (auto at = text.find(prefix); at != std::string::npos; at = text.find(prefix))
      text.erase(at, prefix.size());
    return text;
  }

  std::filesystem::path folder_;
};

std::string identify(std::string_view traits) {
  return fmt::format(R"({{"type":"identify","traits":{{{}}}}})", traits);
}

TEST_F(Messages, are_the_lines_of_a_file) {
  EXPECT_THAT(read(""), IsEmpty());
  EXPECT_THAT(read("\n\r\n"), IsEmpty());
  EXPECT_THAT(read("{}\n[]"), ElementsAre("1 {}", "2 []"));
  EXPECT_THAT(read("{}\r\n\r\n \t\n[]\r\n"), ElementsAre("1 {}", "4 []"));
  EXPECT_THAT(read("\xef\xbb\xbf{}"), ElementsAre("1 {}"));
  EXPECT_THAT(read("\xef\xbb\xbf"), IsEmpty());
  EXPECT_THAT(read("not json\n"), ElementsAre("1 not json"));
  EXPECT_THAT(read(std::string("a\0b\n", 4)), ElementsAre(std::string("1 a\0b", 5)));
}

TEST_F(Messages, may_be_as_long_as_16_MiB) {
  const std::string longest(16u << 20, 'x');
  EXPECT_EQ(read(longest + "\nnext").back(), "2 next");
  EXPECT_THAT(read("{}\n" + longest + "x\nnext"),
              ElementsAre("1 {}", "file:2: the line is longer than 16 MiB"));
}

TEST_F(Messages, repeat_an_error_rather_than_read_on_in_the_middle_of_a_line) {
  auto reader = open(std::string((16u << 20) + 1, 'x') + "\nnext", "");
  Message message;
  const auto first = (*reader)->next(message);
  const auto second = (*reader)->next(message);
  ASSERT_FALSE(first.has_value());
  EXPECT_EQ(second, first);
}

TEST_F(Messages, are_read_from_gzip_of_several_members_whatever_the_name) {
  EXPECT_THAT(read(gzip("{}\n[")), ElementsAre("1 {}", "2 ["));
  EXPECT_THAT(read(gzip("{}\n[") + gzip("") + gzip("1]\n")), ElementsAre("1 {}", "2 [1]"));
  EXPECT_THAT(read(gzip("\xef") + gzip("\xbb") + gzip("\xbf{}")), ElementsAre("1 {}"));
  EXPECT_THAT(read(gzip("")), IsEmpty());
}

TEST_F(Messages, are_not_cut_short_in_silence_by_damaged_gzip) {
  const std::string good = gzip("{}\n");
  for (std::size_t size = 2; size < good.size(); ++size)
    EXPECT_THAT(read(good.substr(0, size)).back(), HasSubstr("the gzip data ends too early")) << size;
  EXPECT_THAT(read(good + "more").back(), HasSubstr("the gzip data is damaged"));
  std::string flipped = good;
  flipped[flipped.size() - 6] = static_cast<char>(~flipped[flipped.size() - 6]);  // in its checksum
  EXPECT_THAT(read(flipped).back(), HasSubstr("the gzip data is damaged"));
}

TEST_F(Messages, of_a_gzip_bomb_are_refused_at_the_limit_of_a_line) {
  EXPECT_THAT(read(gzip(std::string(64u << 20, ' '))), ElementsAre("file:1: the line is longer than 16 MiB"));
}

TEST_F(Messages, progress_counts_bytes_on_disk) {
  const std::string file = gzip(std::string(1 << 20, '\n') + "{}");
  auto reader = open(file, "");
  Message message;
  EXPECT_EQ((*reader)->bytes_total(), file.size());
  EXPECT_TRUE(*(*reader)->next(message));
  EXPECT_FALSE(*(*reader)->next(message));
  EXPECT_EQ((*reader)->bytes_read(), file.size());
}

TEST_F(Messages, need_a_file_that_can_be_read) {
  EXPECT_EQ(MessageReader::open((folder_ / "none").string(), "").error().code, Error::Code::not_found);
  EXPECT_EQ(MessageReader::open(folder_.string(), "").error().code, Error::Code::io);
  const std::string file = write("file", "a\n1\n");
  EXPECT_EQ(MessageReader::open(file, (folder_ / "none.yaml").string()).error().code, Error::Code::not_found);
}

TEST_F(Messages, are_made_from_rows_by_a_mapping) {
  EXPECT_THAT(
      read("event_name,customer,invoice,total,gift,items,city\n"
           "Order Placed,c1,i1,12.50,TRUE,\"[{\"\"sku\"\":1}]\",Leeds\n"
           ",c2,,,,,\n",
           "type: track\n"
           "event: {column: event_name}\n"
           "userId: {column: customer}\n"
           "properties:\n"
           "  order_id: {column: invoice}\n"
           "  revenue: {column: total, type: number}\n"
           "  gift: {column: gift, type: boolean}\n"
           "  products: {column: items, type: json}\n"
           "  address.city: {column: city}\n"
           "  currency: GBP\n"
           "  version: 2\n"
           "  code: \"2\"\n"),
      ElementsAre(
          R"(2 {"type":"track","event":"Order Placed","userId":"c1","properties":{"order_id":"i1",)"
          R"("revenue":12.50,"gift":true,"products":[{"sku":1}],"address":{"city":"Leeds"},)"
          R"("currency":"GBP","version":2,"code":"2"}})",
          R"(3 {"type":"track","userId":"c2","properties":{"currency":"GBP","version":2,"code":"2"}})"));
}

TEST_F(Messages, take_cells_as_RFC_4180_has_them) {
  const struct {
    std::string_view row, traits;
  } kCases[] = {
      {"1,2", R"("a":"1","b":"2")"},
      {"\"1,\",2", R"("a":"1,","b":"2")"},
      {"\"\"\"1\"\"\",2", R"("a":"\"1\"","b":"2")"},
      {"\"1\r\n2\",3", R"("a":"1\r\n2","b":"3")"},
      {"12\" disc,2", R"("a":"12\" disc","b":"2")"},
      {"1,\"\"", R"("a":"1")"},
      {"1,\"2\"", R"("a":"1","b":"2")"},
      {" 1 ,\\", R"("a":" 1 ","b":"\\")"},
      {"1,2\r3", R"("a":"1","b":"2\r3")"},
  };
  for (const auto& [row, traits] : kCases) {
    for (const std::string_view end : {"", "\n", "\r\n"})
      EXPECT_THAT(rows(fmt::format("a,b{0}{1}{0}", end.empty() ? "\n" : end, row)),
                  ElementsAre("2 " + identify(traits)));
    EXPECT_THAT(rows(fmt::format("a,b\n{}", row)), ElementsAre("2 " + identify(traits)));
  }
  EXPECT_THAT(rows(std::string_view("a,b\n\0,2", 7)),
              ElementsAre("2 " + identify(R"("a":"\u0000","b":"2")")));
  EXPECT_THAT(rows("\xef\xbb\xbf\"a\",b\n1,2"), ElementsAre("2 " + identify(R"("a":"1","b":"2")")));
  EXPECT_THAT(rows(gzip("a,b\n1,") + gzip("2")), ElementsAre("2 " + identify(R"("a":"1","b":"2")")));
}

TEST_F(Messages, count_lines_within_cells_and_blank_ones) {
  EXPECT_THAT(rows("a,b\n\n\"1\n\n\",\n\r\n2,\n"),
              ElementsAre("3 " + identify(R"("a":"1\n\n")"), "7 " + identify(R"("a":"2")")));
}

TEST_F(Messages, say_why_a_row_cannot_become_a_call) {
  EXPECT_THAT(rows("a,b\n1\n1,2,3\r\n4,5\n"), ElementsAre("2 !the row has 1 cells, and the header 2: 1",
                                                          "3 !the row has 3 cells, and the header 2: 1,2,3",
                                                          "4 " + identify(R"("a":"4","b":"5")")));
  EXPECT_THAT(rows("a,b\n\"1\"x,2\n3,\"4\"\rx\n"),
              ElementsAre("2 !something follows the closing quote of cell 1: \"1\"x,2",
                          "3 !something follows the closing quote of cell 2: 3,\"4\"\rx"));
  EXPECT_THAT(rows("a,b\n1,\"2\n3,4\n"), ElementsAre("2 !a quote is opened and not closed: 1,\"2\n3,4\n"));
}

TEST_F(Messages, say_which_cell_is_not_of_its_type_and_not_what_it_holds) {
  const struct {
    std::string_view type, cell;
  } kCases[] = {{"number", "1,5"}, {"number", "007"},  {"number", "+1"},
                {"number", "NaN"}, {"number", "0x10"}, {"boolean", "yes"},
                {"boolean", "2"},  {"json", "{"},      {"json", "{} x"}};
  for (const auto& [type, cell] : kCases) {
    EXPECT_THAT(read(fmt::format("v\n\"{}\"", cell),
                     fmt::format("type: identify\ntraits: {{x: {{column: v, type: {}}}}}", type)),
                ElementsAre(fmt::format("2 !the cell of column \"v\" is not a {}: \"{}\"", type, cell)));
  }
}

TEST_F(Messages, keep_the_digits_of_numbers) {
  for (const std::string_view number : {"0", "-1.50", "1e3", "123456789012345678.90"})
    EXPECT_THAT(
        read(fmt::format("v\n {} ", number), "type: identify\ntraits: {x: {column: v, type: number}}"),
        ElementsAre("2 " + identify(fmt::format("\"x\":{}", number))));
}

TEST_F(Messages, may_have_another_delimiter) {
  EXPECT_THAT(read("a;b\n1,5;2", "type: identify\ndelimiter: \";\"\ntraits: {a: {column: a}}"),
              ElementsAre("2 " + identify(R"("a":"1,5")")));
  EXPECT_THAT(read("a\tb\n1\t2", "type: identify\ndelimiter: \"\\t\"\ntraits: {b: {column: b}}"),
              ElementsAre("2 " + identify(R"("b":"2")")));
}

TEST_F(Messages, refuse_a_wrong_mapping_with_its_place) {
  const struct {
    std::string_view mapping, error;
  } kCases[] = {
      {"type: trak\n",
       "mapping.yaml:1:7: type must be one of identify, track, page, screen, group, alias, delete; "
       "did you mean \"track\"?"},
      {"userId: {column: a}\n", "mapping.yaml:1:1: `type` is missing"},
      {"type: track\n", "mapping.yaml:1:1: a track needs `event`"},
      {"type: identify\nuserID: x\n",
       "mapping.yaml:2:1: a mapping has no key \"userID\"; did you mean \"userId\"?"},
      {"type: identify\ntype: identify\n", "mapping.yaml:2:1: \"type\" stands a second time"},
      {"type: identify\nuserId: {colum: a}\n",
       "mapping.yaml:2:10: a column has no key \"colum\"; did you mean \"column\"?"},
      {"type: identify\nuserId: {column: a, type: number}\n",
       "mapping.yaml:2:21: userId is text and takes no type"},
      {"type: identify\ntraits:\n  x: {column: customr}\n",
       "mapping.yaml:3:15: file has no column \"customr\"; did you mean \"customer\"?"},
      {"type: identify\ntraits:\n  x: {column: twice}\n", "mapping.yaml:3:15: file has 2 columns \"twice\""},
      {"type: identify\ntraits:\n  x: {column: customer, type: nummer}\n",
       "a column's type must be one of string, number, boolean, json; did you mean \"number\"?"},
      {"type: identify\ntraits:\n  x: 1\n  x.y: 2\n", "mapping.yaml:4:3: \"x.y\" stands here a second time"},
      {"type: identify\ntraits:\n  x.y: 1\n  x: 2\n", "mapping.yaml:4:3: \"x\" stands here a second time"},
      {"type: identify\ntraits:\n  x..y: 1\n", "mapping.yaml:3:3: \"x..y\" is no path"},
      {"type: identify\ntraits:\n  x: [1]\n", "mapping.yaml:3:6: x must be a literal or {column: NAME}"},
      {"type: identify\ntraits: 1\n", "mapping.yaml:2:9: traits must be `key: value` lines"},
      {"type: identify\ndelimiter: \"::\"\n", "mapping.yaml:2:12: delimiter must be one ASCII character"},
      {"type: [\n", "mapping.yaml:2:1: this is not YAML"},
      {"- type\n", "mapping.yaml:1:1: a mapping is `key: value` lines"},
      {" ", "a mapping is `key: value` lines"},
  };
  for (const auto& [mapping, error] : kCases)
    EXPECT_THAT(read("customer,twice,twice\n", mapping), ElementsAre(HasSubstr(error))) << mapping;
  EXPECT_THAT(read("customer\n", "type: x\nevnt: y\n").front(),
              testing::AllOf(HasSubstr("mapping.yaml:1:7: "), HasSubstr("\nmapping.yaml:2:1: ")));
}

TEST_F(Messages, refuse_a_file_without_a_header) {
  EXPECT_THAT(rows(""), ElementsAre("file: there is no header row"));
  EXPECT_THAT(rows("\n\n\"a"), ElementsAre("file:3: a quote is opened and not closed"));
  EXPECT_THAT(rows("a,b\n"), IsEmpty());
}

}  // namespace
}  // namespace tailrace::sources
