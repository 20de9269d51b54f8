/* The hot path of preprocess.py for RGB pixels of 8 bits, pass by pass as NumPy does it there:
 * across first, then down, each pass rounded to 8 bits with halves up.
 *
 * Weights are whole numbers, shares of 2^WEIGHT_BITS, and so are the sums: no order of adding and no
 * processor gives other pixels. A row goes down while it still lies in the cache.
 *
 * Built on the device by native.py, which says WEIGHT_BITS. AVX2 and NEON have their own ways.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#endif

#define HALF (1 << (WEIGHT_BITS - 1))

/* Rows that go across together: they share the weights, and their sums do not wait for each other. */
#define GROUP 8

/* Values that go down together. */
#define CHUNK 16

/* The output pixels of one axis: output i is the sum of `taps` inputs, an even number, from first[i]. */
typedef struct {
    int32_t outputs;
    int32_t taps;
    const int32_t *first;
    const int16_t *weights; /* outputs x taps */
} axis_t;

/* pixel_group: one output pixel of GROUP rows, the sum of `taps` RGB pixels from `from` bytes on times
 * their weights, rounded. Reads 16 bytes for every two pixels, writes a fourth byte behind each pixel.
 *
 * chunk_down: CHUNK values of one output row, each the sum of the values at `x` of `taps` rows times
 * their weights, rounded. */
#if defined(__AVX2__)

static inline __m256i two_weights(const int16_t *weights) {
    int32_t both;
    memcpy(&both, weights, sizeof both);
    return _mm256_set1_epi32(both);
}

static inline __m256i add_two(__m256i sums, __m256i pairs, __m256i weights) {
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
    return _mm256_dpwssd_epi32(sums, pairs, weights);
#else
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, weights));
#endif
}

/* Two pixels of two rows: each colour beside the same of the next pixel, as words. */
static inline __m256i two_pixels(const uint8_t *a, const uint8_t *b) {
    const __m256i order = _mm256_setr_epi8(
        0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,
        0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
    const __m256i both = _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)a)),
        _mm_loadu_si128((const __m128i *)b), 1);
    return _mm256_shuffle_epi8(both, order);
}

static inline void store_four(__m128i pixels, uint8_t *const *out, size_t to) {
    const int32_t four[4] = {_mm_cvtsi128_si32(pixels), _mm_extract_epi32(pixels, 1),
                             _mm_extract_epi32(pixels, 2), _mm_extract_epi32(pixels, 3)};
    for (int i = 0; i < 4; i++) /* every second row: the others lie in the other half */
        memcpy(out[2 * i] + to, four + i, sizeof *four);
}

static inline void pixel_group(const uint8_t *const *rows, size_t from, const int16_t *weights,
                               int32_t taps, uint8_t *const *out, size_t to) {
    __m256i s0 = _mm256_set1_epi32(HALF), s1 = s0, s2 = s0, s3 = s0;
    for (int32_t tap = 0; tap < taps; tap += 2, from += 6, weights += 2) {
        const __m256i weight = two_weights(weights);
        s0 = add_two(s0, two_pixels(rows[0] + from, rows[1] + from), weight);
        s1 = add_two(s1, two_pixels(rows[2] + from, rows[3] + from), weight);
        s2 = add_two(s2, two_pixels(rows[4] + from, rows[5] + from), weight);
        s3 = add_two(s3, two_pixels(rows[6] + from, rows[7] + from), weight);
    }
    s0 = _mm256_packs_epi32(_mm256_srai_epi32(s0, WEIGHT_BITS), _mm256_srai_epi32(s1, WEIGHT_BITS));
    s2 = _mm256_packs_epi32(_mm256_srai_epi32(s2, WEIGHT_BITS), _mm256_srai_epi32(s3, WEIGHT_BITS));
    const __m256i bytes = _mm256_packus_epi16(s0, s2); /* saturates */
    store_four(_mm256_castsi256_si128(bytes), out, to);
    store_four(_mm256_extracti128_si256(bytes, 1), out + 1, to);
}

static inline void chunk_down(const uint8_t *const *rows, size_t x, const int16_t *weights,
                              int32_t taps, uint8_t *out) {
    __m256i low = _mm256_set1_epi32(HALF), high = low;
    for (int32_t tap = 0; tap < taps; tap += 2) {
        const __m128i a = _mm_loadu_si128((const __m128i *)(rows[tap] + x));
        const __m128i b = _mm_loadu_si128((const __m128i *)(rows[tap + 1] + x));
        const __m256i weight = two_weights(weights + tap);
        low = add_two(low, _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b)), weight);
        high = add_two(high, _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b)), weight);
    }
    const __m256i words = _mm256_permute4x64_epi64(
        _mm256_packs_epi32(_mm256_srai_epi32(low, WEIGHT_BITS), _mm256_srai_epi32(high, WEIGHT_BITS)),
        0xD8);
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words),
                                           _mm256_extracti128_si256(words, 1)); /* saturates */
    _mm_storeu_si128((__m128i *)out, bytes);
}

#elif defined(__ARM_NEON) && defined(__aarch64__)

static inline void pixel_group(const uint8_t *const *rows, size_t from, const int16_t *weights,
                               int32_t taps, uint8_t *const *out, size_t to) {
    static const uint8_t words[16] = {0, 255, 1, 255, 2, 255, 255, 255, 3, 255, 4, 255, 5, 255, 255, 255};
    const uint8x16_t order = vld1q_u8(words);
    int32x4_t sums[GROUP];
    for (int row = 0; row < GROUP; row++)
        sums[row] = vdupq_n_s32(HALF);
    for (int32_t tap = 0; tap < taps; tap += 2, from += 6, weights += 2)
        for (int row = 0; row < GROUP; row++) {
            const int16x8_t two = vreinterpretq_s16_u8(vqtbl1q_u8(vld1q_u8(rows[row] + from), order));
            sums[row] = vmlal_n_s16(sums[row], vget_low_s16(two), weights[0]);
            sums[row] = vmlal_n_s16(sums[row], vget_high_s16(two), weights[1]);
        }
    for (int row = 0; row < GROUP; row++) {
        const uint16x4_t narrow = vqshrun_n_s32(sums[row], WEIGHT_BITS); /* saturates */
        const uint8x8_t bytes = vqmovn_u16(vcombine_u16(narrow, narrow));
        const uint32_t four = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
        memcpy(out[row] + to, &four, sizeof four);
    }
}

static inline void chunk_down(const uint8_t *const *rows, size_t x, const int16_t *weights,
                              int32_t taps, uint8_t *out) {
    int32x4_t sums[4];
    for (int i = 0; i < 4; i++)
        sums[i] = vdupq_n_s32(HALF);
    for (int32_t tap = 0; tap < taps; tap++) {
        const uint8x16_t values = vld1q_u8(rows[tap] + x);
        const int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(values)));
        const int16x8_t high = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(values)));
        sums[0] = vmlal_n_s16(sums[0], vget_low_s16(low), weights[tap]);
        sums[1] = vmlal_n_s16(sums[1], vget_high_s16(low), weights[tap]);
        sums[2] = vmlal_n_s16(sums[2], vget_low_s16(high), weights[tap]);
        sums[3] = vmlal_n_s16(sums[3], vget_high_s16(high), weights[tap]);
    }
    const uint16x8_t low = vcombine_u16(vqshrun_n_s32(sums[0], WEIGHT_BITS),
                                        vqshrun_n_s32(sums[1], WEIGHT_BITS));
    const uint16x8_t high = vcombine_u16(vqshrun_n_s32(sums[2], WEIGHT_BITS),
                                         vqshrun_n_s32(sums[3], WEIGHT_BITS));
    vst1q_u8(out, vcombine_u8(vqmovn_u16(low), vqmovn_u16(high))); /* saturates */
}

#else

static inline uint8_t rounded(int32_t sum) { /* HALF is in it already */
    const int32_t value = sum < 0 ? 0 : sum >> WEIGHT_BITS;
    return value > 255 ? 255 : (uint8_t)value;
}

static inline void pixel_group(const uint8_t *const *rows, size_t from, const int16_t *weights,
                               int32_t taps, uint8_t *const *out, size_t to) {
    for (int row = 0; row < GROUP; row++)
        for (int channel = 0; channel < 3; channel++) {
            const uint8_t *pixel = rows[row] + from + channel;
            int32_t sum = HALF;
            for (int32_t tap = 0; tap < taps; tap++)
                sum += weights[tap] * pixel[3 * tap];
            out[row][to + channel] = rounded(sum);
        }
}

static inline void chunk_down(const uint8_t *const *rows, size_t x, const int16_t *weights,
                              int32_t taps, uint8_t *out) {
    int32_t sums[CHUNK];
    for (int i = 0; i < CHUNK; i++)
        sums[i] = HALF;
    for (int32_t tap = 0; tap < taps; tap++)
        for (int i = 0; i < CHUNK; i++)
            sums[i] += weights[tap] * rows[tap][x + i];
    for (int i = 0; i < CHUNK; i++)
        out[i] = rounded(sums[i]);
}

#endif

/* Rows on their way: those that have gone across lie in a ring until they have gone down. */
typedef struct {
    const uint8_t *image;
    const uint8_t *last; /* a copy of the last row with room behind it, since loads reach there */
    ptrdiff_t stride;
    int32_t height;
    uint8_t *ring;
    size_t ring_stride;
    int32_t ring_rows;
} rows_t;

static uint8_t *in_ring(const rows_t *rows, int32_t y) {
    return rows->ring + (size_t)(y % rows->ring_rows) * rows->ring_stride;
}

static int32_t at_most(int32_t value, int32_t most) {
    return value < most ? value : most;
}

/* GROUP rows from y on, across and into the ring; behind the last row it stands again. */
static void across(const rows_t *rows, int32_t y, const axis_t *axis) {
    const uint8_t *from[GROUP];
    uint8_t *to[GROUP];
    for (int row = 0; row < GROUP; row++) {
        const int32_t at = at_most(y + row, rows->height - 1);
        from[row] = at == rows->height - 1 ? rows->last : rows->image + at * rows->stride;
        to[row] = in_ring(rows, y + row);
    }
    for (int32_t i = 0; i < axis->outputs; i++)
        pixel_group(from, 3 * (size_t)axis->first[i], axis->weights + (size_t)i * axis->taps,
                    axis->taps, to, 3 * (size_t)i);
}

/* One row of `width` values; what is less than a chunk must not be written beyond its end. */
static void down(const uint8_t *const *rows, const int16_t *weights, int32_t taps, size_t width,
                 uint8_t *out) {
    size_t x = 0;
    for (; x + CHUNK <= width; x += CHUNK)
        chunk_down(rows, x, weights, taps, out + x);
    if (x < width) {
        uint8_t rest[CHUNK];
        chunk_down(rows, x, weights, taps, rest);
        memcpy(out + x, rest, width - x);
    }
}

static void all_rows(const rows_t *rows, const axis_t *horizontal, const axis_t *vertical,
                     const uint8_t **taps, uint8_t *out) {
    const size_t width = 3 * (size_t)horizontal->outputs;
    int32_t done = 0;
    for (int32_t i = 0; i < vertical->outputs; i++) {
        const int32_t first = vertical->first[i];
        const int32_t stop = at_most(first + vertical->taps, rows->height);
        for (done = done < first ? first : done; done < stop; done += GROUP)
            across(rows, done, horizontal);
        for (int32_t tap = 0; tap < vertical->taps; tap++) /* those behind the end weigh nothing */
            taps[tap] = in_ring(rows, at_most(first + tap, rows->height - 1));
        down(taps, vertical->weights + (size_t)i * vertical->taps, vertical->taps, width,
             out + (size_t)i * width);
    }
}

static size_t rounded_up(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

/* Resize `height` rows of `width` RGB pixels, `stride` bytes apart, into `out`, rows x columns x 3.
 * Rows must be longer than the taps across by six pixels. Returns 0, or 1 where there is no memory. */
int edgecnn_resize(const uint8_t *image, int32_t height, int32_t width, ptrdiff_t stride,
                   const axis_t *horizontal, const axis_t *vertical, uint8_t *out) {
    const size_t ring_stride = rounded_up(3 * (size_t)horizontal->outputs + CHUNK);
    const int32_t ring_rows = vertical->taps + GROUP;
    const size_t ring_bytes = ring_stride * (size_t)ring_rows;
    const size_t last_bytes = rounded_up(3 * ((size_t)width + (size_t)horizontal->taps) + 16);
    const size_t taps_bytes = (size_t)vertical->taps * sizeof(uint8_t *);
    uint8_t *memory = calloc(1, ring_bytes + last_bytes + taps_bytes);
    if (!memory)
        return 1;
    uint8_t *last = memory + ring_bytes;
    memcpy(last, image + (height - 1) * stride, 3 * (size_t)width);
    const rows_t rows = {image, last, stride, height, memory, ring_stride, ring_rows};
    all_rows(&rows, horizontal, vertical, (const uint8_t **)(last + last_bytes), out);
    free(memory);
    return 0;
}

/* Each of `pixels` RGB pixels times three scales, less three shifts, which follow them in `factors`;
 * two roundings, as NumPy has them, for which native.py forbids the compiler to fuse. `planar`: channel
 * by channel, else pixel by pixel. `backwards`: the first channel out is the last one in. */
void edgecnn_normalise(const uint8_t *image, size_t pixels, const float *factors, int32_t planar,
                       int32_t backwards, float *restrict out) {
    for (int channel = 0; channel < 3; channel++) {
        const float scale = factors[channel], shift = factors[3 + channel];
        const uint8_t *from = image + (backwards ? 2 - channel : channel);
        if (planar)
            for (size_t i = 0; i < pixels; i++)
                out[channel * pixels + i] = (float)from[3 * i] * scale - shift;
        else
            for (size_t i = 0; i < pixels; i++)
                out[3 * i + channel] = (float)from[3 * i] * scale - shift;
    }
}
