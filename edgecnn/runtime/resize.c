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
    const float *weights; /* outputs x taps; across: each of them four times, taps in fours */
} axis_t;

static inline float clipped(float value) {
    value = value < 0.0f ? 0.0f : value;
    return value > 255.0f ? 255.0f : value;
}

/* pixel_sums: one output pixel, the weighted sum of `taps` RGB pixels, as R, G, B and a filling.
 * store_pixel: its rounded bytes; writes a fourth one behind them. Both read four pixels at once,
 * 16 bytes of which 12 count. */
#if defined(__AVX2__) && defined(__FMA__)

typedef __m128 sums_t;

static inline sums_t pixel_sums(const uint8_t *pixel, const float *weights, int32_t taps) {
    const __m256i first = _mm256_setr_epi8(0, -1, -1, -1, 1, -1, -1, -1, 2, -1, -1, -1, -1, -1, -1, -1,
                                           3, -1, -1, -1, 4, -1, -1, -1, 5, -1, -1, -1, -1, -1, -1, -1);
    const __m256i second = _mm256_setr_epi8(6, -1, -1, -1, 7, -1, -1, -1, 8, -1, -1, -1, -1, -1, -1, -1,
                                            9, -1, -1, -1, 10, -1, -1, -1, 11, -1, -1, -1, -1, -1, -1, -1);
    __m256 even = _mm256_setzero_ps(), odd = _mm256_setzero_ps();
    for (int32_t tap = 0; tap < taps; tap += 4, pixel += 12, weights += 16) {
        const __m256i four = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)pixel));
        const __m256 a = _mm256_cvtepi32_ps(_mm256_shuffle_epi8(four, first));
        const __m256 b = _mm256_cvtepi32_ps(_mm256_shuffle_epi8(four, second));
        even = _mm256_fmadd_ps(a, _mm256_loadu_ps(weights), even);
        odd = _mm256_fmadd_ps(b, _mm256_loadu_ps(weights + 8), odd);
    }
    const __m256 both = _mm256_add_ps(even, odd);
    return _mm_add_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1));
}

static inline void store_pixel(sums_t sums, uint8_t *out) {
    const __m128i whole = _mm_cvttps_epi32(_mm_add_ps(sums, _mm_set1_ps(0.5f)));
    const __m128i words = _mm_packus_epi32(whole, whole); /* saturates: 0 to 255 below */
    const int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    memcpy(out, &bytes, sizeof bytes);
}

#elif defined(__ARM_NEON) && defined(__aarch64__)

typedef float32x4_t sums_t;

static inline float32x4_t one_pixel(uint8x16_t four, int index) {
    const uint8_t from = 3 * index, none = 255;
    const uint8x16_t order = {from, none, none, none, from + 1, none, none, none,
                              from + 2, none, none, none, none, none, none, none};
    return vcvtq_f32_u32(vreinterpretq_u32_u8(vqtbl1q_u8(four, order)));
}

static inline sums_t pixel_sums(const uint8_t *pixel, const float *weights, int32_t taps) {
    float32x4_t even = vdupq_n_f32(0), odd = vdupq_n_f32(0);
    for (int32_t tap = 0; tap < taps; tap += 4, pixel += 12, weights += 16) {
        const uint8x16_t four = vld1q_u8(pixel);
        even = vfmaq_f32(even, one_pixel(four, 0), vld1q_f32(weights));
        odd = vfmaq_f32(odd, one_pixel(four, 1), vld1q_f32(weights + 4));
        even = vfmaq_f32(even, one_pixel(four, 2), vld1q_f32(weights + 8));
        odd = vfmaq_f32(odd, one_pixel(four, 3), vld1q_f32(weights + 12));
    }
    return vaddq_f32(even, odd);
}

static inline void store_pixel(sums_t sums, uint8_t *out) {
    const uint32x4_t whole = vcvtq_u32_f32(vaddq_f32(sums, vdupq_n_f32(0.5f)));
    const uint16x4_t words = vqmovn_u32(whole);
    const uint8x8_t bytes = vqmovn_u16(vcombine_u16(words, words));
    const uint32_t four = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
    memcpy(out, &four, sizeof four);
}

#else

typedef struct {
    float channel[3];
} sums_t;

static inline sums_t pixel_sums(const uint8_t *pixel, const float *weights, int32_t taps) {
    sums_t sums = {{0.0f, 0.0f, 0.0f}};
    for (int32_t tap = 0; tap < taps; tap++)
        for (int channel = 0; channel < 3; channel++)
            sums.channel[channel] += weights[4 * tap] * (float)pixel[3 * tap + channel];
    return sums;
}

static inline void store_pixel(sums_t sums, uint8_t *out) {
    for (int channel = 0; channel < 3; channel++)
        out[channel] = (uint8_t)(int32_t)clipped(sums.channel[channel] + 0.5f);
}

#endif

/* Rows that go across together: the weights stay in the processor's first cache for all of them. */
#define GROUP 4

/* `count` rows; what `store_pixel` writes behind the last pixel is the filling of `out`. */
static void across(const uint8_t *const *rows, int count, const axis_t *axis, uint8_t *out,
                   size_t out_stride) {
    const float *weights = axis->weights;
    for (int32_t i = 0; i < axis->outputs; i++, out += 3, weights += 4 * (size_t)axis->taps)
        for (int row = 0; row < count; row++)
            store_pixel(pixel_sums(rows[row] + 3 * (size_t)axis->first[i], weights, axis->taps),
                        out + row * out_stride);
}

static void down(const uint8_t *rows, size_t stride, size_t width, const axis_t *axis, float *sums,
                 uint8_t *out) {
    for (int32_t i = 0; i < axis->outputs; i++, out += width) {
        const float *weights = axis->weights + (size_t)i * axis->taps;
        for (size_t x = 0; x < width; x++)
            sums[x] = 0.5f;
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
                sums[x] = clipped(sums[x]);
        for (size_t x = 0; x < width; x++)
            out[x] = (uint8_t)(int32_t)sums[x];
    }
}

static size_t rounded_up(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

/* All rows across; those that need no resampling are copied. The loads of `across` reach behind
 * the end of a row: into the next one, and for the last row into its copy `last`. */
static void all_across(const uint8_t *image, int32_t height, int32_t width, ptrdiff_t stride,
                       const axis_t *axis, const uint8_t *last, uint8_t *out, size_t out_stride) {
    for (int32_t y = 0; y < height; y += GROUP, out += GROUP * out_stride) {
        const uint8_t *rows[GROUP];
        int count = 0;
        for (; count < GROUP && y + count < height; count++, image += stride)
            rows[count] = y + count == height - 1 ? last : image;
        if (axis->outputs)
            across(rows, count, axis, out, out_stride);
        else
            for (int row = 0; row < count; row++)
                memcpy(out + row * out_stride, rows[row], 3 * (size_t)width);
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
