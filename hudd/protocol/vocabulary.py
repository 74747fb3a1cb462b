"""The words of the Realtime protocol (GA) that both halves share. Imports nothing of hudd.

Source of each list: realtime protocol, sections 2.6, 3.1, 3.2 and 9; checked in the tests against the types of the
official ``openai`` package, so that our two halves cannot agree on the same mistake.
"""

from __future__ import annotations

from typing import Final

CLIENT_EVENTS: Final = (
    "session.update",
    "conversation.item.create",
    "conversation.item.delete",
    "conversation.item.retrieve",
    "conversation.item.truncate",
    "response.create",
    "response.cancel",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "output_audio_buffer.clear",
)

SESSION_KEYS: Final = (
    "type",
    "model",
    "instructions",
    "output_modalities",
    "max_output_tokens",
    "audio",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "truncation",
    "tracing",
    "include",
    "prompt",
)

RESPONSE_KEYS: Final = (
    "conversation",
    "input",
    "instructions",
    "output_modalities",
    "max_output_tokens",
    "metadata",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "prompt",
    "audio",
)

MAX_ID_LENGTH: Final = 32
MAX_EVENT_ID_LENGTH: Final = 512
MAX_METADATA_PAIRS: Final = 16
MAX_METADATA_KEY: Final = 64
MAX_METADATA_VALUE: Final = 512

# Classify on the code string, not on the number of the close (2.6).
FATAL_CODES: Final = frozenset(
    {
        "invalid_api_key",
        "insufficient_quota",
        "credit_balance_exhausted",
        "billing_hard_limit_reached",
        "account_deactivated",
        "missing_model",
        "invalid_model",
        "model_not_found",
        "beta_api_shape_disabled",
    }
)
BENIGN_CODES: Final = frozenset({"response_cancel_not_active", "item_delete_invalid_item_id"})

CLOSE_EXPIRED: Final = 1001
CLOSE_TOO_BIG: Final = 1009
CLOSE_BAD_KEY: Final = 3000
CLOSE_BAD_REQUEST: Final = 4000
CLOSE_NO_MODEL: Final = 4004
