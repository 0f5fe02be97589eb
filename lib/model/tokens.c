#include "model/tokens.h"

#include <stddef.h>
#include <string.h>

#include "model/record.h"

#define KEYS_MAX 9

/* Which column is read from which keys; the first that is not zero counts. */
static const struct {
	size_t at;
	const char *keys[KEYS_MAX];
} columns[] = {
#define AT(field) offsetof(struct usage_event, field)
	{ AT(input_tokens), { "input_tokens", "inputTokens", "prompt_tokens",
				"promptTokens" } },
	{ AT(output_tokens), { "output_tokens", "outputTokens",
				 "completion_tokens", "completionTokens" } },
	{ AT(reasoning_tokens), { "reasoning_tokens", "reasoningTokens" } },
	{ AT(cached_tokens), { "cached_tokens", "cachedTokens" } },
	{ AT(cache_tokens), { "cache_tokens", "cacheTokens" } },
	{ AT(cache_read_tokens),
	    { "cache_read_tokens", "cacheReadTokens", "cache_read_input_tokens",
		"cacheReadInputTokens" } },
	{ AT(cache_creation_tokens),
	    { "cache_creation_tokens", "cacheCreationTokens",
		"cache_creation_input_tokens", "cacheCreationInputTokens",
		"cache_write_tokens", "cacheWriteTokens",
		"cache_write_input_tokens", "cacheWriteInputTokens" } },
	{ AT(total_tokens), { "total_tokens", "totalTokens", "total" } },
#undef AT
};

/* Parts of a text that tell how its provider counts cached tokens. */
static const char *const separate_words[] = { "anthropic", "claude", NULL };
static const char *const executor_separate[] = { "claude", NULL };
static const char *const executor_included[] = { "openaicompat",
	"openai_compat", "openai-compat", "openai", "codex", "gemini",
	"aistudio", "ai_studio", "ai-studio", "antigravity", "xai", "kimi",
	NULL };
static const char *const provider_included[] = { "openai", "codex", "gemini",
	"vertex", "aistudio", "ai_studio", "ai-studio", "interaction",
	"antigravity", "xai", "kimi", "moonshot", NULL };
static const char *const model_included[] = { "gpt-", "openai", "codex",
	"gemini", "vertex", "aistudio", "antigravity", "grok", "xai", "kimi",
	"moonshot", NULL };

static bool
contains_any(struct str s, const char *const *words)
{
	for (; *words != NULL; words++)
		if (str_contains_nocase(s, str_of(*words)))
			return true;
	return false;
}

/* -1: the text does not tell. */
static int
mode_of(struct str s, const char *const *separate, const char *const *included)
{
	if (contains_any(s, separate))
		return 1;
	return contains_any(s, included) ? 0 : -1;
}

/* A mode that the payload names; -1 when it names none. */
static int
explicit_mode(const json_t *const *parents, size_t n, struct arena *a)
{
	static key_list keys = { "cache_input_mode", "cacheInputMode", NULL };

	for (size_t i = 0; i < n; i++) {
		struct str s = record_str(parents[i], keys, a);

		if (str_eq_nocase(s, STR("included_in_input")))
			return 0;
		if (str_eq_nocase(s, STR("separate_from_input")))
			return 1;
	}
	return -1;
}

static bool
cache_separate(const json_t *const *parents, size_t n, struct arena *a,
    const struct usage_event *ev)
{
	const struct str models[] = { ev->resolved_model, ev->requested_model,
		ev->model };
	int mode = explicit_mode(parents, n, a);

	if (mode < 0)
		mode = mode_of(
		    ev->executor_type, executor_separate, executor_included);
	if (mode < 0)
		mode = mode_of(ev->provider, separate_words, provider_included);
	if (mode < 0)
		mode = mode_of(ev->auth_provider_snapshot, separate_words,
		    provider_included);
	for (size_t i = 0; mode < 0 && i < 3; i++)
		mode = mode_of(models[i], separate_words, model_included);
	if (mode < 0)
		mode =
		    ev->cache_read_tokens > 0 || ev->cache_creation_tokens > 0;
	return mode == 1;
}

static int64_t
above_zero(int64_t v)
{
	return v > 0 ? v : 0;
}

void
tokens_read(const json_t *record, struct arena *a, struct usage_event *ev)
{
	const json_t *parents[3];
	struct normalized_tokens t;
	size_t n = 0;
	json_t *v;

	if (json_is_object(v = json_object_get(record, "tokens")))
		parents[n++] = v;
	if (json_is_object(v = json_object_get(record, "usage")))
		parents[n++] = v;
	parents[n++] = record;
	for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
		int64_t *to = (int64_t *)(void *)((char *)ev + columns[c].at);

		*to = 0;
		for (size_t i = 0; *to == 0 && i < n; i++)
			for (size_t k = 0; *to == 0 && columns[c].keys[k]; k++)
				*to = value_int(json_object_get(
				    parents[i], columns[c].keys[k]));
	}
	ev->flags &= ~(uint32_t)EVENT_CACHE_SEPARATE;
	if (cache_separate(parents, n, a, ev))
		ev->flags |= EVENT_CACHE_SEPARATE;
	if (ev->total_tokens > 0)
		return;
	event_normalized_tokens(ev, &t);
	ev->total_tokens =
	    (int64_t)((uint64_t)t.total_input +
		      (uint64_t)above_zero(ev->output_tokens) +
		      (uint64_t)above_zero(ev->reasoning_tokens));
}

struct str
effective_tier(const struct usage_event *ev, struct arena *a)
{
	const char *text = arena_printf(a, "%.*s %.*s %.*s %.*s",
	    STR_ARG(ev->executor_type), STR_ARG(ev->provider),
	    STR_ARG(ev->auth_provider_snapshot), STR_ARG(ev->auth_type));
	struct str first = ev->response_service_tier,
		   second = ev->request_service_tier;

	if (str_contains_nocase(str_of(text), STR("codex"))) {
		first = ev->request_service_tier;
		second = ev->response_service_tier;
	}
	return first.n > 0 ? first : second;
}
