/* The neuron core on a CPU: neuron/equations.py for 128 neurons at a time, carried through all T.

   forward reads X once and writes S once. backward reads X and dL/dS once, recomputes H and writes
   dL/dX once; H and V live in the cache and never in memory. cuda.py is the same algorithm.

   One rule, one library: the compiler gets the rule as constants (from cpu.py), so that each loop
   over the lanes below becomes straight vector code:

       CHARGE    IF, LIF (y / tau) or RATE (y * (1 / tau): PLIF, and LIF where 1 / tau is exact)
       DECAY     whether the input decays too          HARD       hard or soft reset
       DETACH    whether the reset is detached         SURROGATE  sigma' of the backward pass
       STORAGE   FLOAT32, BFLOAT16 or FLOAT16: what X, S and the gradients lie in memory as

   State and arithmetic are float32, and nothing is fused or reordered (-ffp-contract=off): spikes
   are bit-equal to the reference. Statistics are summed per block of columns, and the blocks are
   added in their order: no number depends on how many threads there are. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif
#if defined(_OPENMP)
#include <omp.h>
#else
static int omp_get_thread_num(void) { return 0; }
#endif

#define IF 0
#define LIF 1
#define RATE 2
#define ATAN 0
#define CONSTANT 1
#define RECTANGULAR 2
#define SIGMOID 3
#define SUPERSPIKE 4
#define TRIANGULAR 5
#define FLOAT32 0
#define BFLOAT16 1
#define FLOAT16 2

#if STORAGE == FLOAT32
typedef float stored;
#elif STORAGE == BFLOAT16
typedef uint16_t stored;
#else
typedef _Float16 stored;
#endif

enum { LANES = 128, COLUMNS = 64 };  /* neurons in a column, columns in a block */
enum { AHEAD = 8, LINE = 64 };       /* rows to fetch ahead, bytes in a line of the cache */

#define INLINE static inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define EACH_LANE _Pragma("omp simd") for (int i = 0; i < LANES; i++)
#define ROW(name) float name[LANES] __attribute__((aligned(LINE)))

/* What `wanted` asks for, and the row of its table that it goes to; in a table a row has T numbers.
   SLOPE is the statistic `surrogate`. */
enum { SPIKES = 1, ACTIVE = 2, HISTOGRAM = 4, CURRENT = 8, CURRENT_SQUARED = 16, SLOPE = 32,
       GRAD_SPIKE_SQUARED = 64, GRAD_CURRENT_SQUARED = 128, GRAD_RATE = 256 };
enum { SPIKES_ROW, ACTIVE_ROW, HISTOGRAM_ROW };                           /* forward, of counts */
enum { CURRENT_ROW, CURRENT_SQUARED_ROW, SLOPE_ROW, SUM_ROWS };           /* forward, of sums */
enum { GRAD_SPIKE_ROW, GRAD_CURRENT_ROW, GRAD_RATE_ROW, GRAD_ROWS };      /* backward, of sums */

typedef struct {
    float threshold, rest, tau;     /* V_th, V_reset; tau, or 1 / tau for RATE */
    float slope, height, reach;     /* the constants of sigma() */
} Rule;

typedef struct {
    int64_t steps, neurons;         /* T, N */
    int64_t x_stride, grad_stride;  /* numbers from one step to the next; 0 where one is repeated */
    const stored *x, *grad;         /* X [T, N]; dL/dS [T, N] in the backward pass */
    stored *out;                    /* S, or dL/dX [T, N] */
    const float *first;             /* V before the first step [N]; null: at rest */
    float *last;                    /* V after the last step [N]; null: not wanted */
    Rule rule;
    double lowest, per_bin;         /* the histogram of H: bin k begins at lowest + k / per_bin */
    int64_t bins;
    int64_t *counts;                /* [2 + bins + 2, T]: spikes, active, H below, in each bin, above */
    double *sums;                   /* [SUM_ROWS or GRAD_ROWS, T] */
    int32_t wanted, threads, stream;
} Job;

typedef struct { int64_t *counts; double *sums; } Table;

/* --- one neuron, one step: the equations ---------------------------------------------------- */

INLINE float per_tau(float y, float tau) { return CHARGE == LIF ? y / tau : y * tau; }

INLINE float charge(float v, float x, Rule r) {
    if (CHARGE == IF) return v + x;
    float above = v - r.rest;
    return DECAY ? v + per_tau(x - above, r.tau) : (v - per_tau(above, r.tau)) + x;
}

INLINE float fire(float h, Rule r) { return h >= r.threshold ? 1.0f : 0.0f; }

INLINE float reset(float h, float s, Rule r) {
    return HARD ? (h - h * s) + r.rest * s : h - r.threshold * s;
}

/* e^y for y <= 0 to 2 units in the last place: 2^n e^r, |r| <= ln 2 / 2 (Cephes' polynomial). */
INLINE float exponential(float y) {
    y = y < -87.0f ? -87.0f : y;
    float n = (float)(int32_t)(y * 1.44269504f - 0.5f);
    float r = (y - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = (p * r) * r + r + 1.0f;
    int32_t bits = ((int32_t)n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

/* sigma'(x) at x = H - V_th, as in neuron/surrogate.py. */
INLINE float sigma(float x, Rule r) {
    if (SURROGATE == CONSTANT) return 1.0f;
    if (SURROGATE == RECTANGULAR) return fabsf(x) < r.reach ? r.height : 0.0f;
    if (SURROGATE == TRIANGULAR) {
        float y = fabsf(x) * -r.slope + 1.0f;
        return (y < 0.0f ? 0.0f : y) * r.height;
    }
    if (SURROGATE == SIGMOID) {
        float y = x * r.slope, e = exponential(-fabsf(y)), d = 1.0f + e;
        return y != y ? y : (e / d) * (1.0f / d) * r.height;
    }
    float y = (SURROGATE == ATAN ? x : fabsf(x)) * r.slope;
    if (SURROGATE == SUPERSPIKE) { y = y + 1.0f; return 1.0f / (y * y); }
    return 1.0f / (y * y + 1.0f) * r.height;
}

/* --- rows of 128 lanes ------------------------------------------------------------------------ */

INLINE float widen(stored x) {
#if STORAGE == BFLOAT16
    uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
#else
    return (float)x;
#endif
}

INLINE stored narrow(float y) {
#if STORAGE == BFLOAT16
    uint32_t bits;
    memcpy(&bits, &y, sizeof bits);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;  /* to nearest, ties to even */
    return (stored)(y != y ? 0x7fc0 : rounded);
#else
    return (stored)y;
#endif
}

/* The row as float32: where it lies, or widened into `row` and filled up with zeros. */
INLINE const float *load(float *row, const stored *from, int n) {
#if STORAGE == FLOAT32
    if (n == LANES) return from;
#endif
    if (n == LANES) { EACH_LANE row[i] = widen(from[i]); }
    else for (int i = 0; i < LANES; i++) row[i] = i < n ? widen(from[i]) : 0.0f;
    return row;
}

/* `stream` goes past the cache: a line that is written whole is not read first. */
INLINE void store(stored *to, const float *row, int n, int stream) {
    stored narrowed[LANES] __attribute__((aligned(LINE)));
    EACH_LANE narrowed[i] = narrow(row[i]);
    if (!stream || n < LANES) {
        memcpy(to, narrowed, (size_t)n * sizeof *to);
        return;
    }
#if defined(__AVX512F__)
    for (size_t k = 0; k < LANES / (64 / sizeof *to); k++)
        _mm512_stream_si512((__m512i *)to + k, ((const __m512i *)narrowed)[k]);
#elif defined(__SSE2__)
    for (size_t k = 0; k < LANES / (16 / sizeof *to); k++)
        _mm_stream_si128((__m128i *)to + k, ((const __m128i *)narrowed)[k]);
#else
    memcpy(to, narrowed, sizeof narrowed);
#endif
}

/* Streamed stores are seen by other threads only after a fence. */
INLINE void fence(void) {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

INLINE void prefetch(const stored *row) {
    for (size_t k = 0; k < LANES * sizeof *row; k += LINE) __builtin_prefetch((const char *)row + k);
}

/* Fetch the row that comes AHEAD rows later, in this column or in the next one. */
INLINE void ahead(const stored *x, int64_t stride, int64_t t, int64_t steps) {
    int64_t later = t + (steps < AHEAD ? steps : AHEAD);
    prefetch(later < steps ? x + later * stride : x + (later - steps) * stride + LANES);
}

/* Sums over the n neurons of a row, in two strands. */
static NOINLINE double sum_squares(const float *a, int n) {
    double one = 0, two = 0;
    if (n == LANES) {
#pragma omp simd reduction(+ : one, two)
        for (int i = 0; i < LANES / 2; i++) {
            one += (double)a[i] * (double)a[i];
            two += (double)a[i + LANES / 2] * (double)a[i + LANES / 2];
        }
    } else for (int i = 0; i < n; i++) one += (double)a[i] * (double)a[i];
    return one + two;
}

static NOINLINE double sum(const float *a, int n) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int i = 0; i < n; i++) sum += (double)a[i];
    return sum;
}

INLINE int64_t nonzero(const float *a, int n) {
    int32_t count = 0;
#pragma omp simd reduction(+ : count)
    for (int i = 0; i < n; i++) count += a[i] != 0.0f;
    return count;
}

INLINE void bin(const float *h, int n, int64_t t, const Job *j, int64_t *table) {
    for (int i = 0; i < n; i++) {
        double place = floor(((double)h[i] - j->lowest) * j->per_bin);
        int64_t k = place < 0 ? 0 : place < (double)j->bins ? (int64_t)place + 1 : j->bins + 1;
        table[k * j->steps + t]++;  /* what is not a number counts as above */
    }
}

/* --- one column through all steps ------------------------------------------------------------- */

INLINE void begin(float *v, int64_t at, int n, const Job *j) {
    for (int i = 0; i < LANES; i++) v[i] = j->first && i < n ? j->first[at + i] : j->rule.rest;
}

static NOINLINE void measure(const float *x, const float *h, const float *s, int n, int64_t t,
                             const Job *j, Table table) {
    if (j->wanted & SPIKES) table.counts[SPIKES_ROW * j->steps + t] += nonzero(s, n);
    if (j->wanted & (ACTIVE | SLOPE)) {
        const Rule r = j->rule;
        ROW(slope);
        EACH_LANE slope[i] = sigma(h[i] - r.threshold, r);
        if (j->wanted & ACTIVE) table.counts[ACTIVE_ROW * j->steps + t] += nonzero(slope, n);
        if (j->wanted & SLOPE) table.sums[SLOPE_ROW * j->steps + t] += sum(slope, n);
    }
    if (j->wanted & HISTOGRAM) bin(h, n, t, j, table.counts + HISTOGRAM_ROW * j->steps);
    if (j->wanted & CURRENT) table.sums[CURRENT_ROW * j->steps + t] += sum(x, n);
    if (j->wanted & CURRENT_SQUARED)
        table.sums[CURRENT_SQUARED_ROW * j->steps + t] += sum_squares(x, n);
}

INLINE void forward_column(int64_t at, int n, const Job *j, Table table) {
    const Rule r = j->rule;
    ROW(v); ROW(h); ROW(s); ROW(widened);
    begin(v, at, n, j);
    for (int64_t t = 0; t < j->steps; t++) {
        ahead(j->x + at, j->x_stride, t, j->steps);
        const float *x = load(widened, j->x + t * j->x_stride + at, n);
        EACH_LANE {
            h[i] = charge(v[i], x[i], r);
            s[i] = fire(h[i], r);
            v[i] = reset(h[i], s[i], r);
        }
        store(j->out + t * j->neurons + at, s, n, j->stream);
        if (j->wanted) measure(x, h, s, n, t, j, table);
    }
    if (j->last) memcpy(j->last + at, v, (size_t)n * sizeof *v);
}

/* One step back: from dL/dS, H and, but for the last step, g_V = dL/dV to dL/dH, to dL/dX in the
   place of H, and to g_V of the step before. */
INLINE void step_back(const float *grad_s, float *grad_v, float *grad_h, float *h, int is_last,
                      Rule r) {
    EACH_LANE {
        float s = fire(h[i], r), slope = sigma(h[i] - r.threshold, r), grad = grad_s[i];
        if (!is_last && !DETACH) grad += grad_v[i] * (HARD ? r.rest - h[i] : -r.threshold);
        grad = grad * slope;
        if (!is_last) grad += HARD ? grad_v[i] - grad_v[i] * s : grad_v[i];
        if (CHARGE == RATE) grad_h[i] = grad;
        float through = CHARGE == IF ? 0.0f : per_tau(grad, r.tau);
        grad_v[i] = CHARGE == IF ? grad : grad - through;
        h[i] = CHARGE != IF && DECAY ? through : grad;
    }
}

/* dL/d(1 / tau) of one step, PLIF: sum of dL/dH dH/d(1 / tau). */
INLINE double through_rate(const float *grad_h, const float *x, const float *before, int n,
                           Rule r) {
    ROW(product);
    EACH_LANE {
        float above = before[i] - r.rest;
        product[i] = grad_h[i] * (DECAY ? x[i] - above : -above);
    }
    return sum(product, n);
}

/* Of dL/dS, and of dL/dX [T, LANES] as it lies in memory. */
static NOINLINE void measure_gradients(int64_t at, int n, const Job *j, Table table, float *grad_x) {
    ROW(widened);
    for (int64_t t = 0; t < j->steps; t++) {
        float *row = grad_x + t * LANES;
        const float *grad_s = load(widened, j->grad + t * j->grad_stride + at, n);
        if (j->wanted & GRAD_SPIKE_SQUARED)
            table.sums[GRAD_SPIKE_ROW * j->steps + t] += sum_squares(grad_s, n);
        if (j->wanted & GRAD_CURRENT_SQUARED) {
            EACH_LANE row[i] = widen(narrow(row[i]));  /* as it lies in memory */
            table.sums[GRAD_CURRENT_ROW * j->steps + t] += sum_squares(row, n);
        }
    }
}

/* `rows` [T, LANES] holds H, and from the last step on dL/dX in its place. */
INLINE void backward_column(int64_t at, int n, const Job *j, Table table, float *rows) {
    const Rule r = j->rule;
    ROW(v); ROW(grad_v); ROW(grad_h); ROW(widened); ROW(widened_x);
    begin(v, at, n, j);
    for (int64_t t = 0; t < j->steps; t++) {
        ahead(j->x + at, j->x_stride, t, j->steps);
        if (t + AHEAD >= j->steps) prefetch(j->grad + t * j->grad_stride + at);
        const float *x = load(widened, j->x + t * j->x_stride + at, n);
        float *h = rows + t * LANES;
        EACH_LANE {
            h[i] = charge(v[i], x[i], r);
            v[i] = reset(h[i], fire(h[i], r), r);
        }
    }
    for (int64_t t = j->steps - 1; t >= 0; t--) {
        float *h = rows + t * LANES, *before = h - LANES;
        if (t >= AHEAD) prefetch(j->grad + (t - AHEAD) * j->grad_stride + at);
        const float *grad_s = load(widened, j->grad + t * j->grad_stride + at, n);
        if (t == j->steps - 1) step_back(grad_s, grad_v, grad_h, h, 1, r);
        else step_back(grad_s, grad_v, grad_h, h, 0, r);
        if (CHARGE == RATE && j->wanted & GRAD_RATE) {
            if (t == 0) begin(v, at, n, j);
            else { EACH_LANE v[i] = reset(before[i], fire(before[i], r), r); }
            const float *x = load(widened_x, j->x + t * j->x_stride + at, n);
            table.sums[GRAD_RATE_ROW * j->steps + t] += through_rate(grad_h, x, v, n, r);
        }
        store(j->out + t * j->neurons + at, h, n, j->stream);
    }
    if (j->wanted & (GRAD_SPIKE_SQUARED | GRAD_CURRENT_SQUARED))
        measure_gradients(at, n, j, table, rows);
}

/* --- all columns ------------------------------------------------------------------------------ */

/* A whole column and the last, shorter one are compiled apart: with a fixed n all loops are vectors. */
INLINE void run_column(int64_t at, int n, int is_backward, const Job *j, Table table, float *rows) {
    if (is_backward && n == LANES) backward_column(at, LANES, j, table, rows);
    else if (is_backward) backward_column(at, n, j, table, rows);
    else if (n == LANES) forward_column(at, LANES, j, table);
    else forward_column(at, n, j, table);
}

/* One pass over all blocks, each with a table of its own. 0, or 1 where memory is short. */
INLINE int run(const Job *j, int is_backward, int64_t counts, int64_t sums) {
    int64_t size = (int64_t)COLUMNS * LANES, blocks = (j->neurons + size - 1) / size;
    int64_t tables = j->wanted ? blocks : 0, rows = is_backward ? j->steps * LANES : 0;
    int64_t *all_counts = calloc((size_t)(tables * counts) + 1, sizeof *all_counts);
    double *all_sums = calloc((size_t)(tables * sums) + 1, sizeof *all_sums);
    float *h = aligned_alloc(LINE, (size_t)(j->threads * rows + LANES) * sizeof *h);
    int failed = !all_counts || !all_sums || !h;
#pragma omp parallel for schedule(static) num_threads(j->threads) if (j->threads > 1)
    for (int64_t block = 0; block < (failed ? 0 : blocks); block++) {
        Table own = {all_counts + (tables ? block * counts : 0), all_sums + (tables ? block * sums : 0)};
        int64_t end = (block + 1) * size < j->neurons ? (block + 1) * size : j->neurons;
        for (int64_t at = block * size; at < end; at += LANES) {
            int n = end - at < LANES ? (int)(end - at) : LANES;
            run_column(at, n, is_backward, j, own, h + omp_get_thread_num() * rows);
        }
        fence();
    }
    for (int64_t i = 0; !failed && i < tables * counts; i++) j->counts[i % counts] += all_counts[i];
    for (int64_t i = 0; !failed && i < tables * sums; i++) j->sums[i % sums] += all_sums[i];
    free(all_counts);
    free(all_sums);
    free(h);
    return failed;
}

int forward(const Job *job) {
    return run(job, 0, (HISTOGRAM_ROW + job->bins + 2) * job->steps, SUM_ROWS * job->steps);
}

int backward(const Job *job) { return run(job, 1, 0, GRAD_ROWS * job->steps); }
