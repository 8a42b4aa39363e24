"""A plain PyTorch program that trains the GANs of `gan_cases.py`, independent of the library.

`python -m tests.oracles.torch_gans`, in the root of the project, makes the numbers of `torch_gans.npz`. Those that are
there come from PyTorch 2.13 on a CPU, in float64. PyTorch is no dependency of the project: tests read the numbers. For
each case the file has the losses of G and D `[2, 20]` after every tenth step, on the batch of that step, and then all
parameters after 200 steps, G's first: of each layer the weights `[outputs, inputs]`, and the biases.

Whatever the literature writes with the Jacobian of the game is done here with the whole matrix.
"""

import itertools
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.autograd import grad

from tests.oracles.gan_cases import BATCH, CASES, ITEMS, LATENT, POINT, RECORD_EVERY, STEPS, data, draws, sizes, start

RECORD = Path(__file__).with_suffix(".npz")
G, D = 0, 1


def bce(logits, target):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def objective(case, real, fake):
    """D's terms and G's loss, from logits `[batch]`."""
    target = 1 - case.smoothing
    logistic = [bce(real, target), bce(fake, 0.0)]
    match case.objective:
        case "non-saturating":
            return logistic, bce(fake, 1.0)
        case "saturating":
            return logistic, -bce(fake, 0.0)
        case "KL-type":
            return logistic, -fake.mean()
        case "Wasserstein":
            return [-real.mean(), fake.mean()], -fake.mean()
        case "least squares":
            mean_squares = [F.mse_loss(logits, torch.full_like(logits, t)) for logits, t in ((real, 1), (fake, 0))]
            return [m / 2 for m in mean_squares], F.mse_loss(fake, torch.ones_like(fake)) / 2
        case "hinge":
            return [torch.clamp(1 - real, min=0).mean(), torch.clamp(1 + fake, min=0).mean()], -fake.mean()
        case "relativistic":
            return [F.logsigmoid(real - fake).mean().neg()], F.logsigmoid(fake - real).mean().neg()


def perceptron(numbers, widths, activation, normalize, spectral, x):
    place, last = 0, len(widths) - 2
    for number, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        weights = numbers[place : place + inputs * outputs].view(outputs, inputs)
        biases = numbers[place + inputs * outputs : place + inputs * outputs + outputs]
        place += inputs * outputs + outputs
        if spectral:
            weights = weights / torch.linalg.svdvals(weights)[0]
        x = F.linear(x, weights)
        if normalize and number < last:
            x = F.batch_norm(x, None, None, training=True, eps=1e-3)
        x = x + biases
        if number < last:
            x = {"tanh": torch.tanh, "relu": F.relu, "leaky_relu": F.leaky_relu, "softplus": F.softplus}[activation](x)
    return x


class Gan:
    """The losses of a case."""

    def __init__(self, case):
        self.case, self.widths = case, sizes(case)
        self.count = sum((a + 1) * b for a, b in itertools.pairwise(self.widths[G]))
        self.data = torch.from_numpy(data())
        self.draws = {name: torch.from_numpy(values) for name, values in draws(case).items()}

    def batch(self, number):
        pack = self.case.packing
        items = torch.arange(number * BATCH * pack, (number + 1) * BATCH * pack)
        found = {"real": self.data[items % ITEMS].view(BATCH, pack, POINT)}
        for name in ("latent", "generator_latent"):
            found[name] = self.draws[name][items].view(BATCH, pack, LATENT)
        for name in ("real_noise", "fake_noise", "penalty_noise", "epsilon"):
            found[name] = self.draws[name][number * BATCH : (number + 1) * BATCH].view(BATCH, -1)
        return found

    def generated(self, players, latents):
        """Each place of a pack is a batch of its own."""
        options = self.widths[G], self.case.activation, self.case.batch_norm[G], False
        return torch.cat([perceptron(players[: self.count], *options, z) for z in latents.unbind(1)], 1)

    def logits(self, players, points):
        options = self.widths[D], self.case.activation, self.case.batch_norm[D], self.case.spectral
        return perceptron(players[self.count :], *options, points)[:, 0]

    def penalty(self, players, batch, name, strength, variance=0.01, norm=1.0):
        real, fake, t = *self.judged(players, batch), batch["epsilon"]
        points = {"r1": real, "r2": fake, "dragan": real + variance**0.5 * batch["penalty_noise"]}.get(
            name, t * real + (1 - t) * fake
        )
        if not points.requires_grad:
            points = points.clone().requires_grad_()
        slopes = grad(self.logits(players, points).sum(), points, create_graph=True)[0]
        squares = slopes.square().sum(1)
        match name:
            case "r1" | "r2":
                return strength / 2 * squares.mean()
            case "zero_centered":
                return strength * squares.mean()
            case "wgan_gp" | "dragan":
                return strength * ((squares.sqrt() - norm) ** 2).mean()

    def judged(self, players, batch, latent="latent"):
        real, fake = batch["real"].flatten(1), self.generated(players, batch[latent])
        return real + self.case.noise * batch["real_noise"], fake + self.case.noise * batch["fake_noise"]

    def terms(self, players, batch, penalized=True):
        """D's terms, the penalties in the last of them, and G's loss."""
        real, fake = self.judged(players, batch)
        discriminator, generator = objective(self.case, self.logits(players, real), self.logits(players, fake))
        if self.case.independent_latents:
            real, fake = self.judged(players, batch, "generator_latent")
            generator = objective(self.case, self.logits(players, real), self.logits(players, fake))[1]
        if penalized:
            for name, *numbers in self.case.penalties:
                discriminator[-1] = discriminator[-1] + self.penalty(players, batch, name, *numbers)
        return discriminator, generator

    def losses(self, players, batch, penalized=True):
        discriminator, generator = self.terms(players, batch, penalized)
        return generator, sum(discriminator)

    def slopes(self, losses, players):
        """ξ: G's part of the gradient of its loss, and D's part of the gradient of its own."""
        own = [grad(loss, players, create_graph=True)[0] for loss in losses]
        return torch.cat([own[G][: self.count], own[D][self.count :]])

    def jacobian(self, xi, players):
        return grad(xi, players, torch.eye(len(xi), dtype=xi.dtype), retain_graph=True, is_grads_batched=True)[0]

    def field(self, losses_of, name, numbers, players):
        """The direction, at `players`, of a field by its name."""
        count = self.count
        own = (slice(None, count), slice(count, None))
        *numbers, last = *numbers, None
        if numbers and isinstance(numbers[-1], tuple):
            *numbers, last = numbers
        inner = last or ("gradients",)

        def at(point, field=inner):
            return self.field(losses_of, field[0], field[1:], point.detach().requires_grad_()).detach()

        losses = losses_of(players)
        xi = self.slopes(losses, players)
        match name:
            case "gradients":
                return xi
            case "extragradient":
                return at(players - numbers[0] * at(players))
            case "heun":
                k1 = at(players)
                return (k1 + at(players - numbers[0] * k1)) / 2
            case "rk4":
                return self.runge_kutta(at, players, numbers[0])
            case "heun frozen" | "rk4 frozen":
                parts = []
                for part in own:

                    def alone(point, part=part):
                        slope = torch.zeros_like(point)
                        slope[part] = at(point)[part]
                        return slope

                    if name == "rk4 frozen":
                        parts.append(self.runge_kutta(alone, players, numbers[0])[part])
                    else:
                        k1 = alone(players)
                        parts.append(((k1 + alone(players - numbers[0] * k1)) / 2)[part])
                return torch.cat(parts)
            case "opponent_penalty":
                direction = at(players)
                for part, other, strength in zip(own, own[::-1], numbers, strict=True):
                    direction[part] += strength * grad(xi[other].square().sum(), players, retain_graph=True)[0][part]
                return direction
            case "unrolled":
                steps, rate = numbers
                ahead = players
                for _ in range(steps):
                    slope = grad(losses_of(ahead)[D], ahead, create_graph=True)[0][count:]
                    ahead = torch.cat([players[:count], ahead[count:] - rate * slope])
                through = grad(losses_of(ahead)[G], players)[0]
                return torch.cat([through[:count], xi[count:]])
        matrix = self.jacobian(xi, players)
        crossed = matrix.clone()
        crossed[own[G], own[G]], crossed[own[D], own[D]] = 0, 0
        turned = (matrix - matrix.T) / 2
        strength = numbers[0]
        xi = xi.detach()
        match name:
            case "consensus":
                return xi + strength * matrix.T @ xi
            case "sga":
                return xi + strength * turned.T @ xi
            case "sga aligned":
                hamiltonian = matrix.T @ xi
                sign = torch.sign((xi @ hamiltonian) * (turned.T @ xi @ hamiltonian) / len(xi) + 0.1)
                return xi + sign * strength * turned.T @ xi
            case "cgd":
                return torch.linalg.solve(torch.eye(len(xi), dtype=xi.dtype) + strength * crossed, xi)
        whole = [grad(loss, players, retain_graph=True)[0] for loss in losses]
        shaping = torch.cat(
            [crossed[own[D], own[G]].T @ whole[G][own[D]], crossed[own[G], own[D]].T @ whole[D][own[G]]]
        )
        ahead, push = xi - strength * crossed @ xi, -strength * shaping
        match name:
            case "lola":
                return ahead + push
            case "sos":
                p1 = 1.0 if push @ ahead >= 0 else min(1.0, float(-0.5 * ahead @ ahead / (push @ ahead)))
                p2 = float(xi @ xi) if float(xi.norm()) < 0.1 else 1.0
                return ahead + min(p1, p2) * push

    @staticmethod
    def runge_kutta(slope, x, h):
        k1 = slope(x)
        k2 = slope(x - h / 2 * k1)
        k3 = slope(x - h / 2 * k2)
        return (k1 + 2 * k2 + 2 * k3 + slope(x - h * k3)) / 6


class RMSProp(torch.optim.Optimizer):
    """TensorFlow's: ε is inside the root, and the second moment starts at 1."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                square = self.state[p].setdefault("square", torch.ones_like(p))
                square.mul_(0.9).add_(0.1 * p.grad**2)
                p.data -= group["lr"] * p.grad / torch.sqrt(square + 1e-10)


class Momentum(torch.optim.Optimizer):
    """m ← β m + g, ω ← ω - η m, also for a β below 0, which `torch.optim.SGD` refuses."""

    def __init__(self, params, lr, beta):
        super().__init__(params, {"lr": lr, "momentum": beta})

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                state["momentum_buffer"] = group["momentum"] * state.get("momentum_buffer", 0.0) + p.grad
                p.data -= group["lr"] * state["momentum_buffer"]


class Optimistic(torch.optim.Optimizer):
    """ω ← ω - η (2 g_t - g_{t-1}), with g_0 in the place of the gradient before it."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                before = self.state[p].get("before", p.grad)
                p.data -= group["lr"] * (2 * p.grad - before)
                self.state[p]["before"] = p.grad.clone()


def optimizer_of(case, player, rate):
    match case.optimizer:
        case ("sgd",):
            return torch.optim.SGD([player], lr=rate)
        case ("sgd", beta):
            return torch.optim.SGD([player], lr=rate, momentum=beta) if beta > 0 else Momentum([player], rate, beta)
        case ("adam", b1):
            return torch.optim.Adam([player], lr=rate, betas=(b1, 0.999), eps=1e-8)
        case ("rmsprop",):
            return RMSProp([player], lr=rate)
        case ("optimistic",):
            return Optimistic([player], lr=rate)


def unrolled_slope(gan, players, optimizer, steps, losses_of):
    """The gradient of L_G(θ, ψ_k(θ)) by θ, through copies of the update of D's optimizer."""
    rate = optimizer.param_groups[0]["lr"]
    state = next(iter(optimizer.state.values()), {})
    joint = torch.cat(players).detach().requires_grad_()
    theta, psi = joint[: gan.count], joint[gan.count :]
    zero = torch.zeros_like(psi)
    first, second = (state.get(name, zero) for name in ("exp_avg", "exp_avg_sq"))
    count = float(state.get("step", 0.0))
    buffer, square = state.get("momentum_buffer"), state.get("square", torch.ones_like(psi))
    for _ in range(steps):
        slope = grad(losses_of(torch.cat([theta, psi]))[D], psi, create_graph=True)[0]
        if isinstance(optimizer, torch.optim.Adam):
            b1, b2 = optimizer.param_groups[0]["betas"]
            count += 1
            first, second = b1 * first + (1 - b1) * slope, b2 * second + (1 - b2) * slope**2
            move = (first / (1 - b1**count)) / ((second / (1 - b2**count)).sqrt() + 1e-8)
        elif isinstance(optimizer, RMSProp):
            square = 0.9 * square + 0.1 * slope**2
            move = slope / (square + 1e-10).sqrt()
        else:
            momentum = optimizer.param_groups[0]["momentum"]
            move = buffer = slope if buffer is None else momentum * buffer + slope
        psi = psi - rate * move
    return grad(losses_of(torch.cat([theta, psi]))[G], joint)[0][: gan.count]


def trained(case):
    """The losses `[2, 20]` and the parameters in one array."""
    gan = Gan(case)
    numbers = torch.from_numpy(start(case))
    players = [numbers[: gan.count].clone().requires_grad_(), numbers[gan.count :].clone().requires_grad_()]
    optimizers = [optimizer_of(case, player, rate) for player, rate in zip(players, case.rates, strict=True)]
    past = torch.zeros_like(numbers)  # the field of the step before
    slow, mean, history = numbers.clone(), torch.zeros_like(numbers), []

    def joint():
        return torch.cat(players).detach().requires_grad_()

    def move(moving, direction):
        for player in moving:
            players[player].grad = (direction[: gan.count], direction[gan.count :])[player].detach().clone()
            optimizers[player].step()
            if player == D and case.clip:
                players[D].data.clamp_(-case.clip, case.clip)

    def put(values):
        players[G].data.copy_(values[: gan.count])
        players[D].data.copy_(values[gan.count :])

    names = ("generator", "discriminator")
    for step in range(STEPS):
        penalized = not case.lazy or step % case.lazy == 0
        first = gan.batch(step)

        def losses_of(batch, penalized=penalized):
            return lambda players: gan.losses(players, batch, penalized)

        match case.rule:
            case ("simultaneous",):
                move((G, D), gan.field(losses_of(first), case.field[0], case.field[1:], joint()))
            case ("alternating",):
                counts = {name: case.order.count(name) for name in names}
                first = gan.batch(step * (len(case.order) if case.fresh else counts[case.order[0]]))
                made = dict.fromkeys(names, 0)
                for turn, name in enumerate(case.order):
                    own = step * counts[name] + made[name]
                    batch = gan.batch(step * len(case.order) + turn if case.fresh else own)
                    made[name] += 1
                    direction = gan.field(losses_of(batch), case.field[0], case.field[1:], joint())
                    move((names.index(name),), direction)
            case ("tutorial",):
                for player, loss in ((D, 0), (D, 1), (G, 2)):
                    point = joint()
                    terms, generator = gan.terms(point, first)
                    move((player,), grad([*terms, generator][loss], point)[0])
            case ("past extragradient", rate):
                ahead = (joint() - rate * past).detach().requires_grad_()
                past = gan.field(losses_of(first), "gradients", (), ahead).detach()
                move((G, D), past)
            case ("unrolled", count):
                first, second = [gan.batch(2 * step + i if case.fresh else step) for i in (0, 1)]
                move((D,), gan.field(losses_of(first), "gradients", (), joint()))
                slope = unrolled_slope(gan, players, optimizers[D], count, losses_of(second))
                move((G,), torch.cat([slope, torch.zeros_like(players[D])]))
        if case.lookahead and (step + 1) % case.lookahead[0] == 0:
            slow = slow + case.lookahead[1] * (joint().detach() - slow)
            put(slow)
        result = joint().detach()
        if case.average and case.average[0] == "ema":
            decay = case.average[1]
            mean = decay * mean + (1 - decay) * result
            result = mean / (1 - decay ** (step + 1))
        elif case.average:
            mean = mean + result
            result = mean / (step + 1)
        if (step + 1) % RECORD_EVERY == 0:
            history.append([loss.item() for loss in gan.losses(result.requires_grad_(), first)])
    return np.concatenate([np.array(history).T.ravel(), result.detach().numpy()])


if __name__ == "__main__":
    torch.set_num_threads(1)
    np.savez_compressed(RECORD, **{name: trained(case) for name, case in CASES.items()})
    print(f"{len(CASES)} cases, {RECORD.stat().st_size} bytes")
