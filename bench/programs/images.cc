// bench_images: a chain of image filters with a new buffer per stage, 100 KiB to 24 MiB each, and a
// cache of recent results: the allocation pattern of media and array programs.
//
// usage: bench_images [IMAGES]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <vector>

namespace {

struct Image {
  size_t width, height;
  std::unique_ptr<uint16_t[]> pixels;
  Image(size_t w, size_t h) : width(w), height(h), pixels(new uint16_t[w * h]) {}
};

Image generate(size_t width, size_t height, uint32_t seed) {
  Image image(width, height);
  for (size_t i = 0; i < width * height; ++i) {
    image.pixels[i] = static_cast<uint16_t>((i * 2654435761U + seed) >> 7);
  }
  return image;
}

Image halve(const Image& in) {
  Image out(in.width / 2, in.height / 2);
  for (size_t y = 0; y < out.height; ++y) {
    for (size_t x = 0; x < out.width; ++x) {
      const uint16_t* corner = &in.pixels[2 * y * in.width + 2 * x];
      out.pixels[y * out.width + x] = static_cast<uint16_t>(
          (corner[0] + corner[1] + corner[in.width] + corner[in.width + 1]) / 4);
    }
  }
  return out;
}

Image difference(const Image& in) {
  Image out(in.width, in.height);
  out.pixels[0] = in.pixels[0];
  for (size_t i = 1; i < in.width * in.height; ++i) {
    out.pixels[i] = static_cast<uint16_t>(in.pixels[i] - in.pixels[i - 1]);
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  unsigned long images = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 200;
  std::deque<Image> recent;
  uint64_t sum = 0, noise = 9;
  for (unsigned long i = 0; i < images; ++i) {
    noise = noise * 6364136223846793005U + 1442695040888963407U;
    size_t width = 256 + (noise >> 33) % 3840, height = 256 + (noise >> 50) % 2816;
    Image full = generate(width, height, static_cast<uint32_t>(i));
    Image edges = difference(full);
    Image small = halve(edges);
    for (int level = 0; level < 2; ++level) small = halve(small);
    sum = sum * 31 + small.pixels[small.width * small.height / 2];
    recent.push_back(std::move(edges));
    if (recent.size() > 12) recent.pop_front();
  }
  std::printf("%llu\n", static_cast<unsigned long long>(sum));
  return 0;
}
