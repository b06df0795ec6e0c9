"""What an attacker loses without the original, and without both models: surrogates from paid answers, judged once.

Usage: python examples/12_attackers_without_models.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import edgerift as er

QUERIES = 500


def main() -> None:
    """Print how many images evade by what the attacker knows."""
    train, test = er.images.load("digits", size=16)
    original = er.zoo.create("lenet", classes=10, size=16, seed=0)
    original = er.train.fit(original, train, epochs=8, batch_size=32, learning_rate=0.05, seed=0)
    program = er.adapt.ptq(original, train, target="server")
    few = test.select(range(100))
    with TemporaryDirectory() as folder:
        build = er.deploy.build(program, "onnxruntime", Path(folder) / "model.onnx", images=test.images)
        pair = er.Pair(original, program, build)
        attack = er.evade.preset("default", epsilon=16)
        white = er.evade.search(pair, few, attack)
        print(f"both models: {white.rate.value:.1%} evasive")

        victim = er.Oracle(build, budget=QUERIES)
        queries = er.images.collages(train, QUERIES, seed=1)
        training = er.train.TrainSettings(epochs=8, batch_size=32, learning_rate=0.05)
        attacker = er.extract.Knockoff(student="lenet", training=training, seed=1)
        clone = er.extract.knockoff(victim, queries, settings=attacker, measured_on=test).model
        guess = er.adapt.ptq(clone, train, target="server")
        steerings = {
            "the build": er.evade.Steering(clone, pair.white_box().adapted),
            "answers": er.evade.Steering(clone, (er.deploy.twin(guess),)),
        }
        for name, steering in steerings.items():
            found = er.evade.search(pair, few, attack.replace(stop="believed"), steering=steering)
            apart = er.audit.comparison("both models", white, name, found)
            agreement = er.measure.agreement(er.deploy.twin_scores(clone, test.images), build.predict(test.images))
            print(
                f"{name} and {victim.spent} queries: {found.rate.value:.1%} evasive, judged once; "
                f"the clone agrees on {agreement.value:.1%}; p = {apart.p:.3f}"
            )


if __name__ == "__main__":
    main()
