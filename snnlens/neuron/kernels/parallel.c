/* The parallel neuron on a CPU: neuron/parallel.py for 128 neurons at a time.

   The currents of all steps are added, S / theta + psi / theta is rounded down to the count, and
   the count, the train or both are written. S lives in the cache and never in memory: what
   is written of a count does not grow with T.

   Arithmetic is float32 in the order of `added` and `count`, and nothing is fused or reordered
   (-ffp-contract=off): the same bits. No number depends on how many threads there are. */

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

enum { LANES = 128, COLUMNS = 64 };  /* neurons in a column, columns in a block */
enum { AHEAD = 8, LINE = 64 };       /* rows to fetch ahead, bytes in a line of the cache */

#define INLINE static inline __attribute__((always_inline))
#define EACH_LANE _Pragma("omp simd") for (int i = 0; i < LANES; i++)
#define ROW(name) float name[LANES] __attribute__((aligned(LINE)))

typedef struct {
    const float *x;                 /* [rows, N]: currents, a total (one row), or counts */
    int64_t rows, neurons, stride;  /* of X, N, numbers from one row to the next; 0: one repeated */
    int64_t part;                   /* rows that are added one after the other, see `added` */
    const float *theta;             /* [channels], null if X is counts already */
    int64_t channels, inner;        /* the threshold of neuron i is theta[i / inner % channels] */
    float shift, margin;            /* psi / theta; 1 + tie */
    int64_t steps;                  /* T */
    float *counts, *train;          /* [N], [T, N]; null: not wanted */
    int threads, stream;            /* how many at most; whether the train goes past the cache */
} Job;

/* The row as it lies in memory, or copied into `row` and filled up with zeros. */
INLINE const float *load(float *row, const float *from, int n) {
    if (n == LANES) return from;
    for (int i = 0; i < LANES; i++) row[i] = i < n ? from[i] : 0.0f;
    return row;
}

/* `stream` goes past the cache: a line that is written whole is not read first. */
INLINE void store(float *to, const float *row, int n, int stream) {
    if (!stream || n < LANES) {
        memcpy(to, row, (size_t)n * sizeof *to);
        return;
    }
#if defined(__AVX__)
    for (int i = 0; i < LANES; i += 8) _mm256_stream_ps(to + i, _mm256_load_ps(row + i));
#elif defined(__SSE2__)
    for (int i = 0; i < LANES; i += 4) _mm_stream_ps(to + i, _mm_load_ps(row + i));
#else
    memcpy(to, row, LANES * sizeof *to);
#endif
}

/* Streamed stores are seen by other threads only after a fence. */
INLINE void fence(void) {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

/* Fetch the row that comes AHEAD rows later, in this column or in the next one. */
INLINE void ahead(const float *x, int64_t t, const Job *j) {
    int64_t later = t + (j->rows < AHEAD ? j->rows : AHEAD);
    const float *row = later < j->rows ? x + later * j->stride
                                       : x + (later - j->rows) * j->stride + LANES;
    for (int i = 0; i < LANES; i += LINE / (int)sizeof *row) __builtin_prefetch(row + i);
}

/* S of a column: within a part row by row, then part by part. */
INLINE void add(float *total, int64_t at, int n, const Job *j) {
    ROW(sum); ROW(whole);
    for (int64_t first = 0; first < j->rows; first += j->part) {
        int64_t end = first + j->part < j->rows ? first + j->part : j->rows;
        for (int64_t t = first; t < end; t++) {
            ahead(j->x + at, t, j);
            const float *x = load(whole, j->x + t * j->stride + at, n);
            if (t == first) { EACH_LANE sum[i] = x[i]; }
            else { EACH_LANE sum[i] += x[i]; }
        }
        if (first == 0) { EACH_LANE total[i] = sum[i]; }
        else { EACH_LANE total[i] += sum[i]; }
    }
}

/* The thresholds of a column: runs of `inner` equal ones. */
INLINE void thresholds(float *theta, int64_t at, const Job *j) {
    int64_t c = at / j->inner % j->channels, left = j->inner - at % j->inner;
    for (int64_t i = 0; i < LANES;) {
        int64_t end = i + left < LANES ? i + left : LANES;
        float value = j->theta[c];
        while (i < end) theta[i++] = value;
        left = j->inner;
        c = c + 1 < j->channels ? c + 1 : 0;
    }
}

/* k = clip(floor((S / theta + psi / theta) (1 + tie)), 0, T), in the place of S. */
INLINE void count(float *k, const float *theta, const Job *j) {
    const float shift = j->shift, margin = j->margin, most = (float)j->steps;
    EACH_LANE {
        float above = floorf((k[i] / theta[i] + shift) * margin);
        above = above < 0.0f ? 0.0f : above;
        k[i] = above > most ? most : above;  /* what is not a number stays that */
    }
}

/* s_x = [x > T - k], x = 1 .. T. */
INLINE void train(const float *k, int64_t at, int n, const Job *j) {
    ROW(last); ROW(s);
    EACH_LANE last[i] = (float)j->steps - k[i];
    for (int64_t t = 0; t < j->steps; t++) {
        const float x = (float)(t + 1);
        EACH_LANE s[i] = x > last[i] ? 1.0f : 0.0f;
        store(j->train + t * j->neurons + at, s, n, j->stream);
    }
}

INLINE void column(int64_t at, int n, const Job *j, float *theta) {
    ROW(k);
    add(k, at, n, j);
    if (j->theta) {
        if (j->channels > 1) thresholds(theta, at, j);
        count(k, theta, j);
    }
    if (j->counts) memcpy(j->counts + at, k, (size_t)n * sizeof *k);
    if (j->train) train(k, at, n, j);
}

/* A whole column and the last, shorter one are compiled apart: with a fixed n all loops are vectors. */
static void run(const Job *j) {
    const int64_t size = (int64_t)COLUMNS * LANES, blocks = (j->neurons + size - 1) / size;
#pragma omp parallel for schedule(static) num_threads(j->threads) if (j->threads > 1)
    for (int64_t block = 0; block < blocks; block++) {
        ROW(theta);
        if (j->theta) { EACH_LANE theta[i] = j->theta[0]; }
        int64_t end = (block + 1) * size < j->neurons ? (block + 1) * size : j->neurons;
        for (int64_t at = block * size; at < end; at += LANES) {
            if (end - at < LANES) column(at, (int)(end - at), j, theta);
            else column(at, LANES, j, theta);
        }
        fence();
    }
}

/* Currents, or a total as one row, to counts and a train; either may be null. `per` is the
   thresholds of the channels; null: `threshold` is that of all. */
void charge(const float *x, int64_t rows, int64_t neurons, int64_t stride, int64_t part,
            const float *per, float threshold, int64_t channels, int64_t inner, float shift,
            float margin, int64_t steps, float *counts, float *train, int threads, int stream) {
    const Job job = {x, rows, neurons, stride, part, per ? per : &threshold, channels, inner,
                     shift, margin, steps, counts, train, threads, stream};
    run(&job);
}

/* Counts to a train. */
void fire(const float *counts, int64_t neurons, int64_t steps, float *train, int threads,
          int stream) {
    const Job job = {.x = counts, .rows = 1, .neurons = neurons, .part = 1, .steps = steps,
                     .train = train, .threads = threads, .stream = stream};
    run(&job);
}
