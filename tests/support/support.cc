// Keeps the library non-empty until the first builder arrives.
namespace tailrace::testing {}
