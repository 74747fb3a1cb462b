"""What follows when a model is gone: the next of the settings is asked, and that is said."""

from __future__ import annotations

from hudd.flow.voice import Voice
from hudd.model import UpstreamError
from hudd.realtime.models import Models
from hudd.realtime.retry import is_model_gone
from hudd.realtime.sentences import explain_fallback


class Fallback:
    """Goes on to the next model. A session that is open keeps its own.

    Args:
        models: The model to ask next, and those after it.
        voice: Told of each step.
    """

    def __init__(self, models: Models, voice: Voice) -> None:
        self._models = models
        self._voice = voice

    def step(self, failure: UpstreamError, model: str) -> bool:
        """When the model is gone, go on to the next one, and say so in place of the failure.

        Args:
            failure: What stops hudd otherwise.
            model: Which was asked then.

        Returns:
            Whether there is another one to ask.
        """
        if not is_model_gone(failure):
            return False
        if model != self._models.current:  # a rollover found it gone before, and that was said
            return True
        instead = self._models.give_up()
        if not instead:
            return False
        said = explain_fallback(failure, model, instead)
        self._voice.sentence = said.sentence
        self._voice.error(said)
        return True
