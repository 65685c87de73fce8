// See slab.h.
#include "allocator/slab.h"

#include <string.h>

#include "allocator/meta.h"

namespace hms::alloc {
namespace {

constexpr unsigned kWordBits = 64;
constexpr unsigned kOwnWords = sizeof(Span::own) / sizeof(uint64_t);
constexpr unsigned kLineWords = 64 / sizeof(uint64_t);

unsigned words_of(unsigned size_class) {
  return (kShapes[size_class].blocks + kWordBits - 1) / kWordBits;
}

// Bitmaps by their cache lines: 4096 blocks of 16 bytes need eight.
MetaPool bitmaps[] = {MetaPool(64),  MetaPool(128), MetaPool(192), MetaPool(256),
                      MetaPool(320), MetaPool(384), MetaPool(448), MetaPool(512)};

MetaPool& bitmaps_of(unsigned words) { return bitmaps[(words + kLineWords - 1) / kLineWords - 1]; }

void mark_pages(uintptr_t start, unsigned size_class, unsigned mark) {
  const uintptr_t end = start + kShapes[size_class].bytes;
  for (uintptr_t at = start; at < end; at += uintptr_t{1} << kPageShift) set_page_mark(at, mark);
}

void fill_bits(uint64_t* bits, unsigned blocks) {
  for (; blocks >= kWordBits; blocks -= kWordBits) *bits++ = ~uint64_t{0};
  if (blocks > 0) *bits = (uint64_t{1} << blocks) - 1;
}

}  // namespace

Span* make_span(uintptr_t start, Central* home, unsigned size_class) {
  Span* span = span_of(start, size_class);
  unsigned words = words_of(size_class);
  void* bits = words <= kOwnWords ? span->own : bitmaps_of(words).take();
  if (bits == nullptr) return nullptr;
  span->bits = static_cast<uint64_t*>(bits);
  fill_bits(span->bits, kShapes[size_class].blocks);
  span->free = kShapes[size_class].blocks;
  span->first_word = 0;
  span->home = home;
  mark_pages(start, size_class, size_class + 1);
  __atomic_store_n(&span->mark, static_cast<uint8_t>(size_class + 1), __ATOMIC_RELAXED);
  return span;
}

void unmake_span(Span* span) {
  const unsigned size_class = span->mark - 1U;
  const unsigned words = words_of(size_class);
  if (words > kOwnWords) bitmaps_of(words).give(span->bits);
  mark_pages(span_start(span), size_class, 0);
  __atomic_store_n(&span->mark, 0, __ATOMIC_RELAXED);
}

unsigned take_from_span(Span* span, unsigned count, void** out) {
  if (count > span->free) count = span->free;
  const size_t step = kShapes[span->mark - 1U].step;
  const uintptr_t start = span_start(span);
  unsigned word = span->first_word;
  uint64_t bits = span->bits[word];
  for (void** at = out + count; at != out;) {
    while (bits == 0) {
      span->bits[word] = 0;
      bits = span->bits[++word];
    }
    *--at = to_pointer(start + (word * kWordBits + __builtin_ctzl(bits)) * step);
    bits &= bits - 1;
  }
  span->bits[word] = bits;
  span->first_word = static_cast<uint16_t>(word);
  span->free = static_cast<uint16_t>(span->free - count);
  return count;
}

}  // namespace hms::alloc
