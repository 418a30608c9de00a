#include "support/golden.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

#include <gtest/gtest.h>

namespace tailrace::testing {
namespace {

struct Case {
  std::string title;
  std::string input;
  std::string output;
};

struct GoldenFile {
  std::string preface;
  std::vector<Case> cases;
};

std::string read_file(const std::string& path) {
  const std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  ASSERT_TRUE(out.good()) << "cannot write " << path;
}

std::string without_blank_end(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

GoldenFile parse(const std::string& text) {
  GoldenFile file;
  std::string* part = &file.preface;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("### ")) {
      file.cases.push_back({line.substr(4), "", ""});
      part = &file.cases.back().input;
    } else if (line == "----" && !file.cases.empty()) {
      part = &file.cases.back().output;
    } else {
      *part += line + "\n";
    }
  }
  file.preface = without_blank_end(file.preface);
  for (Case& golden : file.cases) {
    golden.input = without_blank_end(golden.input);
    golden.output = without_blank_end(golden.output);
  }
  return file;
}

std::string print(const GoldenFile& file) {
  std::string text = file.preface.empty() ? "" : file.preface + "\n\n";
  for (std::size_t i = 0; i < file.cases.size(); ++i) {
    const Case& golden = file.cases[i];
    text += "### " + golden.title + "\n" + golden.input + "\n----\n" + golden.output;
    if (!golden.output.empty()) text += "\n";
    if (i + 1 < file.cases.size()) text += "\n";
  }
  return text;
}

}  // namespace

bool updating_golden() {
  const char* value = std::getenv("TAILRACE_UPDATE_GOLDEN");
  return value != nullptr && *value != '\0';
}

void run_golden(const std::string& path, const std::function<std::string(const std::string& input)>& run) {
  GoldenFile file = parse(read_file(path));
  ASSERT_FALSE(file.cases.empty()) << path << " holds no case";
  for (Case& golden : file.cases) {
    const std::string output = without_blank_end(run(golden.input));
    if (!updating_golden()) {
      EXPECT_EQ(output, golden.output) << path << ": " << golden.title;
    }
    golden.output = output;
  }
  if (updating_golden()) write_file(path, print(file));
}

void expect_file(const std::string& path, const std::string& text) {
  if (updating_golden()) {
    write_file(path, text);
    return;
  }
  EXPECT_EQ(read_file(path), text) << path << " is stale: run the test with TAILRACE_UPDATE_GOLDEN=1";
}

}  // namespace tailrace::testing
