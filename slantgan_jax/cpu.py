"""What the CPU needs to be told before JAX starts, to train thousands of runs at the speed of the hardware."""

import os

import jax

XLA_FLAGS = (  # what begins with a dash is LLVM's
    "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion,xla_cpu_small_while_loop_byte_threshold=16777216"
    ",-runtime-memory-check-threshold=1000,-vectorize-memory-check-threshold=1000"
    " --xla_cpu_prefer_vector_width=512"
)


def use_every_core(count: int | None = None) -> None:
    """Makes one JAX device of each CPU core and lets XLA fuse a whole training step into one vectorized loop.

    Call it first thing in a program, before JAX is used: it sets `XLA_FLAGS` in the process's environment and
    `jax_num_cpu_devices`. It changes speed, not meaning; accelerators are not affected. 5000 steps of 4096 runs on two
    cores, in nanoseconds per GAN and step (medians of two rounds), and what the optimized HLO and the assembly say:

    - 25 without any of this; 13.7 with a device a core and the runs sharded over them, instead of one device with
      a thread pool that is handed work at every operation.
    - 10.6 with 512-bit vectors, which XLA avoids unless told; a processor without them is not harmed.
    - 5.4 with multi-output fusion. Without it each of the 13 updated parameters is a loop of its own, which computes
      again what it shares with the others (the latent nine times). With it a step is nine loops over the runs, one
      for each link of its chain of dependencies: latent; four pixels; D's slope on the real image; u and c; slope
      on the fake; u and c; G's slope; four pixel slopes; w and b. XLA joins them no further, since it does not
      compute an expensive value twice. All are vectorized, and none copies the state.
    - 3.6 with the limit raised below which XLA compiles a while loop into one function, instead of calling each of
      its operations through the runtime. It makes a single run with its history eight times as fast, too.

    The tutorial's step is served by that. A fused loop with nine results or more, as of a step in which both players
    move at once, needs more checks at run time that its arrays do not overlap than LLVM allows, which then leaves it
    scalar ("loop not vectorized: too many memory checks needed", it says under -pass-remarks-analysis). Allowed 1000 of
    them, simultaneous steps take 9 ns instead of 20, sga 19 instead of 32, rk4 19 instead of 66, lola 19 instead of
    141, cgd 84 instead of 976; the tutorial's step takes what it took.

    What remains is the gap to the hand-written C program, `experiments/peers/handwritten_gan.c`. C needs 330
    instructions for a step of 16 runs and no memory access. XLA needs more than 450, of which about 80 load or store
    values between loops.

    Args:
      count: how many devices; by default as many as the process may use cores.

    Raises:
      RuntimeError: JAX is already running (from JAX).
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jax.config.update("jax_num_cpu_devices", cores if count is None else count)
    flags = os.environ.get("XLA_FLAGS", "")
    if XLA_FLAGS not in flags:  # a parent process may have set them
        os.environ["XLA_FLAGS"] = f"{flags} {XLA_FLAGS}".strip()
