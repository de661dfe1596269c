/* Sums over all axes but time of a dense tensor [T, N], in one pass over it.

   STORAGE is FLOAT32, BFLOAT16 or FLOAT16: what the numbers lie in memory as. Each block of N is
   summed in float64 in 16 strands, and the blocks are added in their order: no number depends on
   how many threads there are. */

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

enum { BLOCK = 8192, STRANDS = 16 };
enum { SUM, SQUARES, NONZERO, ABOVE_ONE, LARGEST, NUMBERS };  /* what `found` has of each step */

/* One block. `all`: every number, else the squares alone. */
static inline __attribute__((always_inline)) void block(const stored *x, int64_t n, double *found, int all) {
    double sum[STRANDS] = {0}, squares[STRANDS] = {0};
    int32_t nonzero[STRANDS] = {0}, above[STRANDS] = {0}, unknown = 0;
    float largest[STRANDS];
    for (int k = 0; k < STRANDS; k++) largest[k] = -INFINITY;
    for (int64_t i = 0; i < n; i += STRANDS) {
        float row[STRANDS] = {0};
        int count = n - i < STRANDS ? (int)(n - i) : STRANDS;
        if (count == STRANDS) { _Pragma("omp simd") for (int k = 0; k < STRANDS; k++) row[k] = widen(x[i + k]); }
        else for (int k = 0; k < count; k++) row[k] = widen(x[i + k]);
        _Pragma("omp simd") for (int k = 0; k < STRANDS; k++) squares[k] += (double)row[k] * (double)row[k];
        if (!all) continue;
        _Pragma("omp simd") for (int k = 0; k < STRANDS; k++) sum[k] += (double)row[k];
        _Pragma("omp simd") for (int k = 0; k < STRANDS; k++) nonzero[k] += row[k] != 0.0f;
        _Pragma("omp simd") for (int k = 0; k < STRANDS; k++) above[k] += row[k] > 1.0f;
        for (int k = 0; k < count; k++) largest[k] = row[k] > largest[k] ? row[k] : largest[k];
        _Pragma("omp simd reduction(| : unknown)") for (int k = 0; k < STRANDS; k++) unknown |= row[k] != row[k];
    }
    found[LARGEST] = -INFINITY;
    for (int k = 0; k < STRANDS; k++) {
        found[SUM] += sum[k];
        found[SQUARES] += squares[k];
        found[NONZERO] += nonzero[k];
        found[ABOVE_ONE] += above[k];
        if (largest[k] > found[LARGEST]) found[LARGEST] = largest[k];
    }
    if (unknown) found[LARGEST] = NAN;
}

/* x [steps, n], `stride` numbers from step to step; found [steps, NUMBERS]. 1 where memory is short. */
int reduce(const stored *x, int64_t steps, int64_t n, int64_t stride, int all, int threads, double *found) {
    int64_t blocks = (n + BLOCK - 1) / BLOCK;
    double *parts = calloc((size_t)(steps * blocks * NUMBERS) + 1, sizeof *parts);
    if (!parts) return 1;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int64_t k = 0; k < steps * blocks; k++) {
        int64_t t = k / blocks, at = k % blocks * BLOCK, count = n - at < BLOCK ? n - at : BLOCK;
        if (all) block(x + t * stride + at, count, parts + k * NUMBERS, 1);
        else block(x + t * stride + at, count, parts + k * NUMBERS, 0);
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
