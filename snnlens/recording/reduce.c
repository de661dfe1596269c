/* Sums over all axes but time of a dense tensor [T, N], in one pass over it.

   STORAGE is FLOAT32, BFLOAT16 or FLOAT16: what the numbers lie in memory as. Each block of N is
   summed in float64, and the blocks are added in their order: no number depends on how many
   threads there are. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FLOAT32 0
#define BFLOAT16 1
#define FLOAT16 2

#if STORAGE == BFLOAT16
typedef uint16_t stored;
static inline float widen(stored x) {
    uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}
#elif STORAGE == FLOAT16
typedef _Float16 stored;
static inline float widen(stored x) { return (float)x; }
#else
typedef float stored;
static inline float widen(stored x) { return x; }
#endif

enum { BLOCK = 8192 };
enum { SUM, SQUARES, NONZERO, ABOVE_ONE, LARGEST, NUMBERS };  /* what `found` has of each step */

static void square_block(const stored *x, int64_t n, double *found) {
    double squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < n; i++) squares += (double)widen(x[i]) * (double)widen(x[i]);
    found[SQUARES] = squares;
}

static void summary_block(const stored *x, int64_t n, double *found) {
    double sum = 0;
    float largest = -INFINITY;
    int32_t nonzero = 0, above = 0, unknown = 0;
#pragma omp simd reduction(+ : sum, nonzero, above, unknown) reduction(max : largest)
    for (int64_t i = 0; i < n; i++) {
        float y = widen(x[i]);
        sum += (double)y;
        nonzero += y != 0.0f;
        above += y > 1.0f;
        unknown += y != y;
        largest = y > largest ? y : largest;
    }
    found[SUM] = sum;
    found[NONZERO] = nonzero;
    found[ABOVE_ONE] = above;
    found[LARGEST] = unknown ? NAN : largest;
}

/* x [steps, n], `stride` numbers from step to step; found [steps, NUMBERS], either the squares or the
   rest. 0, or 1 where memory is short. */
int reduce(const stored *x, int64_t steps, int64_t n, int64_t stride, int squares, int threads, double *found) {
    int64_t blocks = (n + BLOCK - 1) / BLOCK;
    double *parts = calloc((size_t)(steps * blocks * NUMBERS) + 1, sizeof *parts);
    if (!parts) return 1;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int64_t k = 0; k < steps * blocks; k++) {
        int64_t t = k / blocks, at = k % blocks * BLOCK, count = n - at < BLOCK ? n - at : BLOCK;
        if (squares) square_block(x + t * stride + at, count, parts + k * NUMBERS);
        else summary_block(x + t * stride + at, count, parts + k * NUMBERS);
    }
    for (int64_t t = 0; t < steps; t++) {
        double *out = found + t * NUMBERS;
        out[LARGEST] = -INFINITY;
        for (int64_t k = t * blocks; k < (t + 1) * blocks; k++) {
            const double *part = parts + k * NUMBERS;
            for (int number = SUM; number <= ABOVE_ONE; number++) out[number] += part[number];
            if (part[LARGEST] > out[LARGEST] || part[LARGEST] != part[LARGEST]) out[LARGEST] = part[LARGEST];
        }
    }
    free(parts);
    return 0;
}
