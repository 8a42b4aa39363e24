/* The tutorial GAN by hand: how fast can these processor cores train it?
 *
 * The same thirteen parameters, update order and latents (threefry-2x32, JAX's partitionable counters) as the
 * library. All of a group's parameters stay in vector registers for the whole training, and groups of LANES runs
 * are trained one after the other. Gradients are derived by hand; vectors are the compiler's vector extension.
 *
 * cc -O3 -march=native -shared -fPIC handwritten_gan.c -o handwritten_gan.so
 */
#include <stdint.h>
#include <string.h>

#ifndef LANES
#define LANES 16 /* floats in a vector register: 16 with AVX-512, 8 with AVX2 */
#endif

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));
typedef uint32_t uvec __attribute__((vector_size(4 * LANES)));

static const float FACES[5][4] = {
    {1, 0, 0, 1}, {.9f, .1f, .2f, .8f}, {.9f, .2f, .1f, .8f}, {.8f, .1f, .2f, .9f}, {.8f, .2f, .1f, .9f}};

static inline vec select(ivec mask, vec yes, vec no) { return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask)); }

/* exp(-x) = 2^n e^r with n the nearest integer to -x / ln 2 and |r| <= ln(2) / 2. ln 2 is subtracted in two parts, so
 * that the relative error stays near one unit in the last place for all x, as it does in the library. */
static inline vec exp_minus(vec x) {
    const float shifter = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
    x = select(x < -87.0f, (vec){} - 87.0f, x);
    x = select(x > 87.0f, (vec){} + 87.0f, x);
    vec shifted = shifter - x * 1.44269504088896341f;
    vec n = shifted - shifter;
    vec r = -x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return (vec)((ivec)p + ((ivec)shifted << 23));
}

static inline vec sigmoid(vec x) { return 1.0f / (1.0f + exp_minus(x)); }

static inline uvec rotate(uvec x, int distance) { return x << distance | x >> (32 - distance); }

/* The latent of step `counter`: jax.random.uniform(key, (steps,))[counter]. */
static inline vec latent(uvec k0, uvec k1, uint32_t counter) {
    static const int rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
    const uvec key[3] = {k0, k1, k0 ^ k1 ^ 0x1BD11BDAu};
    uvec x = key[0], y = key[1] + counter;
#pragma GCC unroll 5
    for (int group = 0; group < 5; group++) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            x += y;
            y = x ^ rotate(y, rotations[group % 2][i]);
        }
        x += key[(group + 1) % 3];
        y += key[(group + 2) % 3] + (uint32_t)(group + 1);
    }
    return (vec)((x ^ y) >> 9 | 0x3F800000u) - 1.0f;
}

/* Trains `runs` GANs (a multiple of LANES) for `steps` steps. `keys` is [2][runs], `rates` [runs], and `players`
 * [13][runs]: w, b, u, c. Parameters are updated in place. */
void train(int runs, int steps, const uint32_t *keys, const float *rates, float *players) {
    for (int first = 0; first < runs; first += LANES) {
        vec w[4], b[4], u[4], c, rate;
        uvec k0, k1;
        for (int i = 0; i < 4; i++) {
            memcpy(&w[i], players + i * runs + first, sizeof(vec));
            memcpy(&b[i], players + (4 + i) * runs + first, sizeof(vec));
            memcpy(&u[i], players + (8 + i) * runs + first, sizeof(vec));
        }
        memcpy(&c, players + 12 * runs + first, sizeof(vec));
        memcpy(&rate, rates + first, sizeof(vec));
        memcpy(&k0, keys + first, sizeof(vec));
        memcpy(&k1, keys + runs + first, sizeof(vec));
        for (int step = 0, face = 0; step < steps; step++, face = face == 4 ? 0 : face + 1) {
            const float *x = FACES[face];
            vec z = latent(k0, k1, step), g[4];
            vec slope = rate * sigmoid(-(u[0] * x[0] + u[1] * x[1] + u[2] * x[2] + u[3] * x[3] + c));
            for (int i = 0; i < 4; i++) u[i] += slope * x[i];
            c += slope;
            for (int i = 0; i < 4; i++) g[i] = sigmoid(w[i] * z + b[i]);
            slope = rate * sigmoid(u[0] * g[0] + u[1] * g[1] + u[2] * g[2] + u[3] * g[3] + c);
            for (int i = 0; i < 4; i++) u[i] -= slope * g[i];
            c -= slope;
            slope = rate * sigmoid(-(u[0] * g[0] + u[1] * g[1] + u[2] * g[2] + u[3] * g[3] + c));
            for (int i = 0; i < 4; i++) {
                vec pixel_slope = slope * u[i] * (g[i] - g[i] * g[i]);
                w[i] += pixel_slope * z;
                b[i] += pixel_slope;
            }
        }
        for (int i = 0; i < 4; i++) {
            memcpy(players + i * runs + first, &w[i], sizeof(vec));
            memcpy(players + (4 + i) * runs + first, &b[i], sizeof(vec));
            memcpy(players + (8 + i) * runs + first, &u[i], sizeof(vec));
        }
        memcpy(players + 12 * runs + first, &c, sizeof(vec));
    }
}
