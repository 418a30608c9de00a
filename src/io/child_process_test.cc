#include "io/child_process.h"

#include <chrono>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tailrace::io {
namespace {

using State = ChildProcess::State;

State wait_for(ChildProcess& child) {
  while (child.state() == State::running) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return child.state();
}

TEST(ChildProcess, sees_memory_as_it_was_and_changes_none_of_ours) {
  int value = 1;
  const auto child = ChildProcess::start([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return ++value == 2;
  });
  ASSERT_TRUE(child.has_value());
  value = 10;
  EXPECT_EQ(wait_for(**child), State::succeeded);
  EXPECT_EQ(value, 10);
}

TEST(ChildProcess, says_when_its_work_failed) {
  const auto child = ChildProcess::start([] { return false; });
  ASSERT_TRUE(child.has_value());
  EXPECT_EQ(wait_for(**child), State::failed);
}

TEST(ChildProcess, has_none_of_our_files) {
  const int file = ::open("/dev/null", O_RDONLY);
  const auto child = ChildProcess::start([&] { return ::fcntl(file, F_GETFD) < 0; });
  ASSERT_TRUE(child.has_value());
  EXPECT_EQ(wait_for(**child), State::succeeded);
  ::close(file);
}

TEST(ChildProcess, ends_with_its_owner) {
  auto child = ChildProcess::start([] {
    std::this_thread::sleep_for(std::chrono::hours(1));
    return true;
  });
  ASSERT_TRUE(child.has_value());
  EXPECT_EQ((*child)->state(), State::running);
  child->reset();  // would wait an hour
}

}  // namespace
}  // namespace tailrace::io
