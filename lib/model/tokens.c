#include "model/tokens.h"

#include <stddef.h>
#include <string.h>

#include "model/record.h"

/*
 * Which column is read from which keys, in `tokens`, then `usage`, then the
 * record itself: the first that is not zero counts.
 */
static const struct {
	size_t at;
	unsigned char keys[9]; /* closed by KEY__MAX */
} columns[] = {
#define AT(field) offsetof(struct usage_event, field)
	{ AT(input_tokens),
	    { KEY_input_tokens, KEY_inputTokens, KEY_prompt_tokens,
		KEY_promptTokens, KEY__MAX } },
	{ AT(output_tokens),
	    { KEY_output_tokens, KEY_outputTokens, KEY_completion_tokens,
		KEY_completionTokens, KEY__MAX } },
	{ AT(reasoning_tokens),
	    { KEY_reasoning_tokens, KEY_reasoningTokens, KEY__MAX } },
	{ AT(cached_tokens),
	    { KEY_cached_tokens, KEY_cachedTokens, KEY__MAX } },
	{ AT(cache_tokens), { KEY_cache_tokens, KEY_cacheTokens, KEY__MAX } },
	{ AT(cache_read_tokens), { KEY_cache_read_tokens, KEY_cacheReadTokens,
				     KEY_cache_read_input_tokens,
				     KEY_cacheReadInputTokens, KEY__MAX } },
	{ AT(cache_creation_tokens),
	    { KEY_cache_creation_tokens, KEY_cacheCreationTokens,
		KEY_cache_creation_input_tokens, KEY_cacheCreationInputTokens,
		KEY_cache_write_tokens, KEY_cacheWriteTokens,
		KEY_cache_write_input_tokens, KEY_cacheWriteInputTokens,
		KEY__MAX } },
	{ AT(total_tokens),
	    { KEY_total_tokens, KEY_totalTokens, KEY_total, KEY__MAX } },
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
explicit_mode(const struct record *const *parents, size_t n, struct arena *a)
{
	for (size_t i = 0; i < n; i++) {
		struct str s = record_str(parents[i],
		    KEYS(KEY_cache_input_mode, KEY_cacheInputMode), a);

		if (str_eq_nocase(s, STR("included_in_input")))
			return 0;
		if (str_eq_nocase(s, STR("separate_from_input")))
			return 1;
	}
	return -1;
}

static bool
cache_separate(const struct record *const *parents, size_t n, struct arena *a,
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
tokens_read(const struct record *r, const struct record *hint, struct arena *a,
    struct usage_event *ev)
{
	static const enum key names[] = { KEY_tokens, KEY_usage };
	const struct record *parents[4];
	struct record inner[2];
	struct normalized_tokens t;
	size_t n = 0;

	for (size_t i = 0; i < 2; i++) {
		const struct json_tree *v = r->v[names[i]];

		if (v == NULL || v->type != TREE_OBJECT)
			continue;
		record_index(&inner[n], v);
		parents[n] = &inner[n];
		n++;
	}
	parents[n++] = r;
	for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
		int64_t *to = (int64_t *)(void *)((char *)ev + columns[c].at);
		const unsigned char *k;

		*to = 0;
		for (size_t i = 0; *to == 0 && i < n; i++)
			for (k = columns[c].keys; *to == 0 && *k != KEY__MAX;
			     k++)
				*to = value_int(parents[i]->v[*k]);
	}
	if (hint != NULL) {
		parents[n++] = hint;
		if (ev->total_tokens == 0)
			ev->total_tokens = record_int(
			    hint, KEYS(KEY_total_tokens, KEY_totalTokens));
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

bool
asked_tier_counts(const struct usage_event *ev)
{
	const struct str texts[] = { ev->executor_type, ev->provider,
		ev->auth_provider_snapshot, ev->auth_type };

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (str_contains_nocase(texts[i], STR("codex")))
			return true;
	return false;
}

struct str
effective_tier(const struct usage_event *ev)
{
	if (asked_tier_counts(ev) && ev->request_service_tier.n > 0)
		return ev->request_service_tier;
	if (ev->response_service_tier.n > 0)
		return ev->response_service_tier;
	return ev->request_service_tier;
}
