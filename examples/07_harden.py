"""Train quantized models that resist extraction, and attack them with soft and with hard labels.

Usage: python examples/07_harden.py
"""

import edgerift as er


def main() -> None:
    """Print the cost to the owner and to two attackers of plain training, DivQAT and misleading targets."""
    train, test = er.images.load("digits", size=16)
    original = er.zoo.create("lenet", classes=10, size=16, seed=0)
    original = er.train.fit(original, train, epochs=8, batch_size=32, learning_rate=0.05, seed=0)
    settings = er.adapt.QatSettings(train=er.train.TrainSettings(epochs=3, batch_size=32, learning_rate=0.01))
    programs = {
        "plain": er.adapt.qat(original, train, settings=settings),
        "DivQAT, alpha 0.1": er.adapt.divqat(original, train, alpha=0.1, settings=settings),
        "DivQAT, alpha 1": er.adapt.divqat(original, train, alpha=1.0, settings=settings),
        "misleading, l1 0.6": er.adapt.run_hardened(
            original, train, None, target="mobile", defence=er.adapt.MisleadingTargets(l1=0.6), settings=settings
        ).program,
    }

    queries = er.images.collages(train, 800, seed=1)
    plain = er.extract.posteriors(er.deploy.twin(programs["plain"]), test.images)
    print(f"{'':<20} {'answers moved':>13} {'owner error':>11} {'soft clone error':>16} {'hard clone error':>16}")
    for name, program in programs.items():
        victim = er.deploy.twin(program)
        answers = er.extract.posteriors(victim, test.images)
        row = [er.measure.accuracy(answers, test.labels)]
        for labels in ("soft", "hard"):
            oracle = er.Oracle(victim, budget=800)
            clone = er.extract.knockoff(oracle, queries, "lenet", labels=labels, epochs=12, learning_rate=0.05, seed=1)
            row.append(er.measure.accuracy(er.deploy.twin_scores(clone.model, test.images), test.labels))
        owner, soft, hard = (rate.complement.value for rate in row)
        moved = er.measure.posterior_l1(answers, plain).value
        print(f"{name:<20} {moved:>13.3f} {owner:>11.1%} {soft:>16.1%} {hard:>16.1%}")


if __name__ == "__main__":
    main()
