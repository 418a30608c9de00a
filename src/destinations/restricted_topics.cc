#include "destinations/restricted_topics.h"

#include <algorithm>
#include <array>
#include <string>

namespace tailrace::destinations {
namespace {

constexpr std::string_view kHealth = "health";
constexpr std::string_view kFinances = "financial status";

// In lower case; of several words, with one blank between.
constexpr std::array kWords{
    RestrictedTopic{kHealth, "addiction"},      RestrictedTopic{kHealth, "alcoholism"},
    RestrictedTopic{kHealth, "allergy"},        RestrictedTopic{kHealth, "anxiety"},
    RestrictedTopic{kHealth, "arthritis"},      RestrictedTopic{kHealth, "asthma"},
    RestrictedTopic{kHealth, "cancer"},         RestrictedTopic{kHealth, "chronic pain"},
    RestrictedTopic{kHealth, "depression"},     RestrictedTopic{kHealth, "diabetes"},
    RestrictedTopic{kHealth, "diabetic"},       RestrictedTopic{kHealth, "diagnosis"},
    RestrictedTopic{kHealth, "disability"},     RestrictedTopic{kHealth, "disease"},
    RestrictedTopic{kHealth, "disorder"},       RestrictedTopic{kHealth, "epilepsy"},
    RestrictedTopic{kHealth, "fertility"},      RestrictedTopic{kHealth, "hiv"},
    RestrictedTopic{kHealth, "hypertension"},   RestrictedTopic{kHealth, "illness"},
    RestrictedTopic{kHealth, "infertility"},    RestrictedTopic{kHealth, "medication"},
    RestrictedTopic{kHealth, "menopause"},      RestrictedTopic{kHealth, "mental health"},
    RestrictedTopic{kHealth, "obese"},          RestrictedTopic{kHealth, "obesity"},
    RestrictedTopic{kHealth, "patient"},        RestrictedTopic{kHealth, "patients"},
    RestrictedTopic{kHealth, "pregnancy"},      RestrictedTopic{kHealth, "pregnant"},
    RestrictedTopic{kHealth, "prescription"},   RestrictedTopic{kHealth, "symptom"},
    RestrictedTopic{kHealth, "symptoms"},       RestrictedTopic{kHealth, "therapy"},
    RestrictedTopic{kFinances, "bankrupt"},     RestrictedTopic{kFinances, "bankruptcy"},
    RestrictedTopic{kFinances, "credit score"}, RestrictedTopic{kFinances, "debt"},
    RestrictedTopic{kFinances, "foreclosure"},  RestrictedTopic{kFinances, "high income"},
    RestrictedTopic{kFinances, "low income"},   RestrictedTopic{kFinances, "net worth"},
    RestrictedTopic{kFinances, "payday loan"},  RestrictedTopic{kFinances, "poverty"},
};

// Words in lower case with one blank before, between and after.
std::string words_of(std::string_view text) {
  std::string words = " ";
  for (const char c : text) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0;
    if (is_letter) {
      words += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    } else if (words.back() != ' ') {
      words += ' ';
    }
  }
  return words.back() == ' ' ? words : words + ' ';
}

}  // namespace

std::optional<RestrictedTopic> restricted_topic_in(std::string_view text) {
  const std::string words = words_of(text);
  const auto found = std::ranges::find_if(kWords, [&](const RestrictedTopic& each) {
    return words.find(" " + std::string(each.word) + " ") != std::string::npos;
  });
  return found == kWords.end() ? std::nullopt : std::optional(*found);
}

}  // namespace tailrace::destinations
