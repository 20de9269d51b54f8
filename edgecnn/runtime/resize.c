/* The hot path of preprocess.py for RGB pixels of 8 bits, pass by pass as NumPy does it there:
 * across first, then down, float sums, each pass rounded to 8 bits with halves up.
 *
 * Built on the device by native.py. AVX2 and NEON have their own way across; the rest is left to
 * the compiler.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#endif

/* The output pixels of one axis: output i is the sum of `taps` inputs from first[i]. */
typedef struct {
    int32_t outputs;
    int32_t taps;
    int32_t overshoots; /* whether sums may leave 0 to 255: the filter has negative weights */
    const int32_t *first;
    const float *weights; /* outputs x taps; across, the taps come in fours */
} axis_t;

static inline float clipped(float value) {
    value = value < 0.0f ? 0.0f : value;
    return value > 255.0f ? 255.0f : value;
}

/* Rows that go across together: they share the weights, and their sums do not wait for each other. */
#define GROUP 8

/* pixel_group: one output pixel of GROUP rows, the sum of `taps` RGB pixels from `from` bytes on times
 * their weights, rounded. The taps are added one after the other, each with one rounding (fused), as
 * BLAS adds them for NumPy: so the bits are the same, even where a sum is a half but for its rounding.
 * Reads four pixels at once, 16 bytes of which 12 count; writes a fourth byte behind each pixel. */
#if defined(__AVX2__) && defined(__FMA__)

static inline __m256 one_pixel(__m256i four, int index) {
    const char r = (char)(3 * index), g = (char)(3 * index + 1), b = (char)(3 * index + 2);
    const __m256i order = _mm256_setr_epi8(
        r, -1, -1, -1, g, -1, -1, -1, b, -1, -1, -1, -1, -1, -1, -1,
        r, -1, -1, -1, g, -1, -1, -1, b, -1, -1, -1, -1, -1, -1, -1);
    return _mm256_cvtepi32_ps(_mm256_shuffle_epi8(four, order));
}

/* Two rows in one register. */
static inline __m256 add_four(__m256 sums, const uint8_t *a, const uint8_t *b, const __m256 *weight) {
    const __m256i four = _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)a)),
        _mm_loadu_si128((const __m128i *)b), 1);
    sums = _mm256_fmadd_ps(one_pixel(four, 0), weight[0], sums);
    sums = _mm256_fmadd_ps(one_pixel(four, 1), weight[1], sums);
    sums = _mm256_fmadd_ps(one_pixel(four, 2), weight[2], sums);
    return _mm256_fmadd_ps(one_pixel(four, 3), weight[3], sums);
}

static inline void store_two(__m256 sums, uint8_t *a, uint8_t *b) {
    const __m256i whole = _mm256_cvttps_epi32(_mm256_add_ps(sums, _mm256_set1_ps(0.5f)));
    const __m256i words = _mm256_packus_epi32(whole, whole); /* saturates, at 0 and 255 below */
    const __m256i bytes = _mm256_packus_epi16(words, words);
    const int32_t four_a = _mm_cvtsi128_si32(_mm256_castsi256_si128(bytes));
    const int32_t four_b = _mm_cvtsi128_si32(_mm256_extracti128_si256(bytes, 1));
    memcpy(a, &four_a, sizeof four_a);
    memcpy(b, &four_b, sizeof four_b);
}

static inline void pixel_group(const uint8_t *const *rows, size_t from, const float *weights,
                               int32_t taps, uint8_t *const *out, size_t to) {
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    for (int32_t tap = 0; tap < taps; tap += 4, from += 12, weights += 4) {
        const __m256 weight[4] = {_mm256_broadcast_ss(weights), _mm256_broadcast_ss(weights + 1),
                                  _mm256_broadcast_ss(weights + 2), _mm256_broadcast_ss(weights + 3)};
        s0 = add_four(s0, rows[0] + from, rows[1] + from, weight);
        s1 = add_four(s1, rows[2] + from, rows[3] + from, weight);
        s2 = add_four(s2, rows[4] + from, rows[5] + from, weight);
        s3 = add_four(s3, rows[6] + from, rows[7] + from, weight);
    }
    store_two(s0, out[0] + to, out[1] + to);
    store_two(s1, out[2] + to, out[3] + to);
    store_two(s2, out[4] + to, out[5] + to);
    store_two(s3, out[6] + to, out[7] + to);
}

#elif defined(__ARM_NEON) && defined(__aarch64__)

static inline float32x4_t one_pixel(uint8x16_t four, int index) {
    const uint8_t from = (uint8_t)(3 * index), none = 255;
    const uint8x16_t order = {from, none, none, none, from + 1, none, none, none,
                              from + 2, none, none, none, none, none, none, none};
    return vcvtq_f32_u32(vreinterpretq_u32_u8(vqtbl1q_u8(four, order)));
}

static inline void pixel_group(const uint8_t *const *rows, size_t from, const float *weights,
                               int32_t taps, uint8_t *const *out, size_t to) {
    float32x4_t sums[GROUP];
    for (int row = 0; row < GROUP; row++)
        sums[row] = vdupq_n_f32(0);
    for (int32_t tap = 0; tap < taps; tap += 4, from += 12, weights += 4) {
        const float32x4_t weight = vld1q_f32(weights);
        for (int row = 0; row < GROUP; row++) {
            const uint8x16_t four = vld1q_u8(rows[row] + from);
            sums[row] = vfmaq_laneq_f32(sums[row], one_pixel(four, 0), weight, 0);
            sums[row] = vfmaq_laneq_f32(sums[row], one_pixel(four, 1), weight, 1);
            sums[row] = vfmaq_laneq_f32(sums[row], one_pixel(four, 2), weight, 2);
            sums[row] = vfmaq_laneq_f32(sums[row], one_pixel(four, 3), weight, 3);
        }
    }
    for (int row = 0; row < GROUP; row++) {
        const uint32x4_t whole = vcvtq_u32_f32(vaddq_f32(sums[row], vdupq_n_f32(0.5f)));
        const uint16x4_t words = vqmovn_u32(whole);
        const uint8x8_t bytes = vqmovn_u16(vcombine_u16(words, words)); /* saturates */
        const uint32_t four = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
        memcpy(out[row] + to, &four, sizeof four);
    }
}

#else

static inline void pixel_group(const uint8_t *const *rows, size_t from, const float *weights,
                               int32_t taps, uint8_t *const *out, size_t to) {
    for (int row = 0; row < GROUP; row++)
        for (int channel = 0; channel < 3; channel++) {
            const uint8_t *pixel = rows[row] + from + channel;
            float sum = 0.0f;
            for (int32_t tap = 0; tap < taps; tap++)
                sum += weights[tap] * (float)pixel[3 * tap];
            out[row][to + channel] = (uint8_t)(int32_t)clipped(sum + 0.5f);
        }
}

#endif

static void across(const uint8_t *const *rows, const axis_t *axis, uint8_t *const *out) {
    for (int32_t i = 0; i < axis->outputs; i++)
        pixel_group(rows, 3 * (size_t)axis->first[i], axis->weights + (size_t)i * axis->taps,
                    axis->taps, out, 3 * (size_t)i);
}

static void down(const uint8_t *rows, size_t stride, size_t width, const axis_t *axis, float *sums,
                 uint8_t *out) {
    for (int32_t i = 0; i < axis->outputs; i++, out += width) {
        const float *weights = axis->weights + (size_t)i * axis->taps;
        for (size_t x = 0; x < width; x++)
            sums[x] = 0.0f;
        for (int32_t tap = 0; tap < axis->taps; tap++) {
            const uint8_t *row = rows + (axis->first[i] + (size_t)tap) * stride;
            const float weight = weights[tap];
            if (weight == 0.0f) /* the filling of short rows, which may lie behind the image */
                continue;
            for (size_t x = 0; x < width; x++)
                sums[x] += weight * (float)row[x];
        }
        if (axis->overshoots)
            for (size_t x = 0; x < width; x++)
                out[x] = (uint8_t)(int32_t)clipped(sums[x] + 0.5f);
        else
            for (size_t x = 0; x < width; x++)
                out[x] = (uint8_t)(int32_t)(sums[x] + 0.5f);
    }
}

static size_t rounded_up(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

/* All rows across; those that need no resampling are copied. The loads of `across` reach behind
 * the end of a row: into the next one, and for the last row into its copy `last`. */
static void all_across(const uint8_t *image, int32_t height, int32_t width, ptrdiff_t stride,
                       const axis_t *axis, const uint8_t *last, uint8_t *out, size_t out_stride) {
    for (int32_t y = 0; y < height; y += GROUP) {
        const uint8_t *rows[GROUP];
        uint8_t *to[GROUP];
        for (int row = 0; row < GROUP; row++) { /* behind the last row it stands again */
            const int32_t at = y + row < height ? y + row : height - 1;
            rows[row] = at == height - 1 ? last : image + at * stride;
            to[row] = out + (size_t)at * out_stride;
        }
        if (axis->outputs)
            across(rows, axis, to);
        else
            for (int row = 0; row < GROUP; row++)
                memcpy(to[row], rows[row], 3 * (size_t)width);
    }
}

/* Resize `height` rows of `width` RGB pixels, `stride` bytes apart, into `out`, rows x columns x 3.
 * An axis without outputs stays as it is. Rows must be longer than the taps across by six pixels.
 * Returns 0, or 1 where there is no memory. */
int edgecnn_resize(const uint8_t *image, int32_t height, int32_t width, ptrdiff_t stride,
                   const axis_t *horizontal, const axis_t *vertical, uint8_t *out) {
    const size_t row_bytes = 3 * (size_t)(horizontal->outputs ? horizontal->outputs : width);
    const size_t row_stride = rounded_up(row_bytes + 1); /* a stored pixel is four bytes long */
    const size_t rows_bytes = row_stride * (size_t)height;
    const size_t last_bytes = rounded_up(3 * ((size_t)width + (size_t)horizontal->taps) + 16);
    uint8_t *rows = malloc(rows_bytes + last_bytes + row_bytes * sizeof(float));
    if (!rows)
        return 1;
    uint8_t *last = rows + rows_bytes;
    memset(last, 0, last_bytes);
    memcpy(last, image + (height - 1) * stride, 3 * (size_t)width);
    all_across(image, height, width, stride, horizontal, last, rows, row_stride);
    if (vertical->outputs)
        down(rows, row_stride, row_bytes, vertical, (float *)(last + last_bytes), out);
    else
        for (int32_t y = 0; y < height; y++)
            memcpy(out + y * row_bytes, rows + y * row_stride, row_bytes);
    free(rows);
    return 0;
}

/* Each of `pixels` RGB pixels through one table of 256 floats a channel. `planar`: channel by
 * channel, else pixel by pixel. `backwards`: the first channel out is the last one in. */
void edgecnn_normalise(const uint8_t *image, size_t pixels, const float *tables, int32_t planar,
                       int32_t backwards, float *out) {
    for (int channel = 0; channel < 3; channel++) {
        const float *table = tables + 256 * channel;
        const uint8_t *from = image + (backwards ? 2 - channel : channel);
        if (planar)
            for (size_t i = 0; i < pixels; i++)
                out[channel * pixels + i] = table[from[3 * i]];
        else
            for (size_t i = 0; i < pixels; i++)
                out[3 * i + channel] = table[from[3 * i]];
    }
}
