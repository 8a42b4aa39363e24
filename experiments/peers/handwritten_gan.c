/* The tutorial GAN by hand: how fast can these processor cores train it?
 *
 * The same thirteen parameters, update order and latents (threefry-2x32, JAX's partitionable counters) as the
 * library. A group is a vector of LANES runs. A step is one long chain, in which each operation waits for the one
 * before, so GROUPS groups are trained side by side: while one waits, another is computed. Gradients are derived by
 * hand; vectors are the compiler's vector extension.
 *
 * cc -O3 -march=native -shared -fPIC handwritten_gan.c -o handwritten_gan.so
 */
#include <stdint.h>
#include <string.h>

#ifndef LANES
#define LANES 16 /* floats in a vector register: 16 with AVX-512, 8 with AVX2 */
#endif

#ifndef GROUPS
#define GROUPS 4 /* with 1, 2, 3 and 4 a step took 3.2, 2.2, 2.0 and 1.8 ns on two cores with AVX-512 */
#endif

#define EACH_GROUP _Pragma("GCC unroll 8") for (int k = 0; k < GROUPS; k++)
#define EACH_PIXEL _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)

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

static inline vec logit(const vec u[4], const vec x[4], vec c) {
    return u[0] * x[0] + u[1] * x[1] + u[2] * x[2] + u[3] * x[3] + c;
}

/* Trains `runs` GANs (a multiple of GROUPS * LANES) for `steps` steps. `keys` is [2][runs], `rates` [runs], and
 * `players` [13][runs]: w, b, u, c. Parameters are updated in place. */
void train(int runs, int steps, const uint32_t *keys, const float *rates, float *players) {
    for (int first = 0; first < runs; first += GROUPS * LANES) {
        vec w[GROUPS][4], b[GROUPS][4], u[GROUPS][4], c[GROUPS], rate[GROUPS];
        uvec k0[GROUPS], k1[GROUPS];
        EACH_GROUP {
            int at = first + k * LANES;
            EACH_PIXEL {
                memcpy(&w[k][i], players + i * runs + at, sizeof(vec));
                memcpy(&b[k][i], players + (4 + i) * runs + at, sizeof(vec));
                memcpy(&u[k][i], players + (8 + i) * runs + at, sizeof(vec));
            }
            memcpy(&c[k], players + 12 * runs + at, sizeof(vec));
            memcpy(&rate[k], rates + at, sizeof(vec));
            memcpy(&k0[k], keys + at, sizeof(vec));
            memcpy(&k1[k], keys + runs + at, sizeof(vec));
        }
        for (int step = 0, face = 0; step < steps; step++, face = face == 4 ? 0 : face + 1) {
            vec x[4], z[GROUPS], g[GROUPS][4], slope[GROUPS];
            EACH_PIXEL x[i] = (vec){} + FACES[face][i];
            EACH_GROUP slope[k] = rate[k] * sigmoid(-logit(u[k], x, c[k]));
            EACH_GROUP {
                EACH_PIXEL u[k][i] += slope[k] * x[i];
                c[k] += slope[k];
            }
            EACH_GROUP z[k] = latent(k0[k], k1[k], step);
            EACH_GROUP EACH_PIXEL g[k][i] = sigmoid(w[k][i] * z[k] + b[k][i]);
            EACH_GROUP slope[k] = rate[k] * sigmoid(logit(u[k], g[k], c[k]));
            EACH_GROUP {
                EACH_PIXEL u[k][i] -= slope[k] * g[k][i];
                c[k] -= slope[k];
            }
            EACH_GROUP slope[k] = rate[k] * sigmoid(-logit(u[k], g[k], c[k]));
            EACH_GROUP EACH_PIXEL {
                vec pixel_slope = slope[k] * u[k][i] * (g[k][i] - g[k][i] * g[k][i]);
                w[k][i] += pixel_slope * z[k];
                b[k][i] += pixel_slope;
            }
        }
        EACH_GROUP {
            int at = first + k * LANES;
            EACH_PIXEL {
                memcpy(players + i * runs + at, &w[k][i], sizeof(vec));
                memcpy(players + (4 + i) * runs + at, &b[k][i], sizeof(vec));
                memcpy(players + (8 + i) * runs + at, &u[k][i], sizeof(vec));
            }
            memcpy(players + 12 * runs + at, &c[k], sizeof(vec));
        }
    }
}
