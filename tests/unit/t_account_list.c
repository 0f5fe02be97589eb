/*
 * CPA's list of accounts: each shape and spelling that it may have, and what
 * events get of it.
 */
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "model/account_list.h"
#include "test_cmocka.h"

#define AT_MS INT64_C(1800000000000)

static struct account_list *list;

static void
read_list(const char *answer)
{
	struct err e;

	account_list_free(list);
	if ((list = account_list_parse(str_of(answer), AT_MS, &e)) == NULL)
		FAIL("%s: %s", answer, e.text);
}

static int
drop_list(void **state)
{
	(void)state;
	account_list_free(list);
	list = NULL;
	return 0;
}

#define IS(s, want) assert_true(str_eq((s), STR(want)))

static const struct account *
find(const char *index)
{
	return account_list_find(list, str_of(index));
}

/* The account "i", which must be there. */
static const struct account *
one(const char *answer)
{
	const struct account *a;

	read_list(answer);
	if ((a = find("i")) == NULL)
		FAIL("%s: not found", answer);
	return a;
}

static void
every_shape_of_an_answer(void **state)
{
	static const struct {
		const char *before, *after;
	} shapes[] = {
		{ "[", "]" },
		{ "[7,null,", ",\"text\",[]]" },
		{ "{\"auth_files\":[", "]}" },
		{ "{\"authFiles\":[", "]}" },
		{ "{\"files\":[", "],\"total\":1}" },
		{ "{\"items\":[", "]}" },
		{ "{\"data\":[", "]}" },
		{ " {\"auth_files\":{},\"data\":[", "],\"name\":\"n\"} " },
		{ "{\"items\":[", "],\"data\":[{\"auth_index\":\"j\"}]}" },
		{ "", "" },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		snprintf(text, sizeof text, "%s%s%s", shapes[i].before,
		    "{\"id\":\"f\",\"auth_index\":\"i\",\"email\":\"a@b.c\"}",
		    shapes[i].after);
		IS(one(text)->account, "a@b.c");
		assert_null(find("j"));
		assert_null(find(""));
	}
	IS(one("{\"name\":\"f\",\"auth_index\":\"i\"}")->file, "f");
}

static void
no_accounts_is_an_answer_too(void **state)
{
	static const char *const answers[] = { "[]", "{\"files\":[]}",
		"{\"files\":null}", "[{}]", "[null]", "{\"id\":\"f\"}",
		"[{\"auth_index\":\" \",\"name\":\"f\"}]" };

	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		read_list(answers[i]);
		assert_null(find(""));
		assert_null(find("f"));
	}
}

static void
what_is_no_list_is_refused(void **state)
{
	static const char *const answers[] = { "", "{", "null", "7", "\"[]\"",
		"{}", "{\"error\":\"no\"}", "<html>", "[] []",
		"{\"files\":{\"a\":1}}", "{\"name\":\"\",\"id\":null}" };
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		e = (struct err){ .kind = ERR_NONE };
		assert_null(account_list_parse(str_of(answers[i]), AT_MS, &e));
		assert_int_equal(e.kind, ERR_INPUT);
		assert_true(e.text[0] != '\0');
	}
}

static void
every_spelling_of_a_member(void **state)
{
	(void)state;
	IS(one("[{\"authIndex\":\" i \"}]")->auth_index, "i");
	IS(one("[{\"auth-index\":\"i\"}]")->auth_index, "i");
	/* what is empty does not hide what comes after it */
	IS(one("[{\"auth_index\":\"\",\"authIndex\":null,\"auth-index\":\"i\"}"
	       "]")
		->auth_index,
	    "i");
	IS(one("[{\"auth_index\":\"i\",\"provider\":\" \",\"type\":\"codex\"}]")
		->provider,
	    "codex");
	IS(one("[{\"auth_index\":\"i\",\"provider\":\"p\",\"type\":\"t\"}]")
		->provider,
	    "p");
	IS(one("[{\"auth_index\":\"i\",\"projectId\":\"p\"}]")->project, "p");
	IS(one("[{\"auth_index\":\"i\",\"gemini_virtual_project\":\"p\"}]")
		->project,
	    "p");
	IS(one("[{\"auth_index\":\"i\",\"geminiVirtualProject\":\"p\"}]")
		->project,
	    "p");
	IS(one("[{\"auth_index\":\"i\",\"project_id\":\"a\",\"projectId\":"
	       "\"b\"}]")
		->project,
	    "a");
	/* whatever is there is text */
	read_list("[{\"auth_index\":17,\"project_id\":1.5,\"name\":true}]");
	assert_non_null(find("17"));
	IS(find("17")->project, "1.5");
	IS(find("17")->file, "true");
}

static void
labels_and_accounts_stand_in_for_each_other(void **state)
{
	static const struct {
		const char *members, *account, *label;
	} cases[] = {
		{ "", "", "" },
		{ ",\"name\":\"f.json\"", "f.json", "f.json" },
		{ ",\"label\":\"L\",\"name\":\"f\"", "L", "L" },
		{ ",\"email\":\"e@x.y\",\"name\":\"f\"", "e@x.y", "f" },
		{ ",\"email\":\"e@x.y\"", "e@x.y", "e@x.y" },
		{ ",\"account\":\"acc\"", "acc", "acc" },
		{ ",\"account\":\"acc\",\"email\":\"e@x.y\"", "acc", "e@x.y" },
		{ ",\"account\":\" \",\"email\":\"e@x.y\",\"label\":\"L\"",
		    "e@x.y", "L" },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct account *a;

		snprintf(text, sizeof text, "[{\"auth_index\":\"i\"%s}]",
		    cases[i].members);
		a = one(text);
		if (!str_eq(a->account, str_of(cases[i].account)) ||
		    !str_eq(a->label, str_of(cases[i].label)))
			FAIL("%s: %.*s, %.*s", text, STR_ARG(a->account),
			    STR_ARG(a->label));
	}
}

/* Of a credential that is a key, CPA gives the key as the account. */
static void
keys_are_no_accounts(void **state)
{
	static const char *const keys[] = { "sk-short", "AIzaSy0123",
		"0123456789abcdef0123456789abcdef",
		"eyJhbGciOiJIUzI1NiJ9.e30.c2ln" };
	static const char *const names[] = { "0123456789abcdef0123456789abcde",
		"sk-a@example.com", "sk-or not",
		"a/0123456789abcdef0123456789abcdef" };
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		snprintf(text, sizeof text,
		    "[{\"auth_index\":\"i\",\"account\":\"%s\"}]", keys[i]);
		assert_int_equal(one(text)->account.n, 0);
		assert_int_equal(one(text)->label.n, 0);
		snprintf(text, sizeof text,
		    "[{\"auth_index\":\"i\",\"account\":\"%s\",\"email\":"
		    "\"e@x.y\"}]",
		    keys[i]);
		IS(one(text)->account, "e@x.y");
		snprintf(text, sizeof text,
		    "[{\"auth_index\":\"i\",\"email\":\"%s\",\"name\":\"f\"}]",
		    keys[i]);
		IS(one(text)->account, "f");
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(text, sizeof text,
		    "[{\"auth_index\":\"i\",\"account\":\"%s\"}]", names[i]);
		assert_true(str_eq(one(text)->account, str_of(names[i])));
	}
	/* a path of Windows, escaped */
	IS(one("[{\"auth_index\":\"i\",\"account\":"
	       "\"C:\\\\0123456789abcdef0123456789abcdef\"}]")
		->account,
	    "C:\\0123456789abcdef0123456789abcdef");
}

static void
the_last_of_several_counts(void **state)
{
	(void)state;
	read_list("[{\"auth_index\":\"b\",\"name\":\"1\",\"type\":\"t\"},"
		  "{\"auth_index\":\"a\",\"name\":\"2\"},"
		  "{\"auth_index\":\"b\",\"name\":\"3\"},"
		  "{\"auth_index\":\"ab\",\"name\":\"4\"},"
		  "{\"authIndex\":\"a\",\"name\":\"5\"}]");
	IS(find("a")->file, "5");
	IS(find("ab")->file, "4");
	IS(find("b")->file, "3");
	/* as a whole: nothing of the earlier one shines through */
	assert_int_equal(find("b")->provider.n, 0);
	assert_null(find("c"));
}

static void
each_of_many_is_found(void **state)
{
	enum { N = 5000 };
	struct buf answer;
	char index[16];

	(void)state;
	buf_init(&answer, 1024 * 1024);
	for (int i = 0; i < N; i++)
		buf_printf(&answer,
		    "%c{\"auth_index\":\"%x\",\"name\":\"f%d\"}",
		    i == 0 ? '[' : ',', i * 7919 % N, i);
	buf_char(&answer, ']');
	read_list(buf_text(&answer));
	buf_free(&answer);
	for (int i = 0; i < N; i++) {
		char file[16];

		snprintf(index, sizeof index, "%x", i * 7919 % N);
		snprintf(file, sizeof file, "f%d", i);
		assert_non_null(find(index));
		assert_true(str_eq(find(index)->file, str_of(file)));
	}
}

#define FULL                                                               \
	"[{\"auth_index\":\"i\",\"account\":\"a@x.y\",\"label\":\"L\","    \
	"\"name\":\"f.json\",\"provider\":\"codex\",\"project_id\":\"p\"}" \
	"]"

static void
what_is_empty_is_filled(void **state)
{
	struct usage_event ev = { .auth_index = STR("i"), .ts_ms = 1 };
	unsigned char hash[SHA256_BYTES];

	(void)state;
	event_hash(&ev);
	memcpy(hash, ev.hash, sizeof hash);
	read_list(FULL);
	event_add_account(&ev, list);
	IS(ev.account_snapshot, "a@x.y");
	IS(ev.auth_label_snapshot, "L");
	IS(ev.auth_file_snapshot, "f.json");
	IS(ev.auth_provider_snapshot, "codex");
	IS(ev.auth_project_id_snapshot, "p");
	assert_int_equal(ev.auth_snapshot_at_ms, AT_MS);
	event_hash(&ev);
	assert_memory_equal(hash, ev.hash, sizeof hash);
}

static void
what_is_there_stays(void **state)
{
	struct usage_event ev = { .auth_index = STR("i"),
		.account_snapshot = STR("mine"),
		.auth_file_snapshot = STR("mine.json"),
		.auth_snapshot_at_ms = 5 };
	struct usage_event full = { .auth_index = STR("i"),
		.account_snapshot = STR("mine"),
		.auth_project_id_snapshot = STR("mine") };

	(void)state;
	read_list(FULL);
	event_add_account(&ev, list);
	IS(ev.account_snapshot, "mine");
	IS(ev.auth_file_snapshot, "mine.json");
	IS(ev.auth_label_snapshot, "L");
	IS(ev.auth_project_id_snapshot, "p");
	assert_int_equal(ev.auth_snapshot_at_ms, 5);
	/* an event that knows account and project is not looked up */
	assert_false(event_wants_account(&full));
	event_add_account(&full, list);
	assert_int_equal(full.auth_label_snapshot.n, 0);
	assert_int_equal(full.auth_snapshot_at_ms, 0);
}

static void
nothing_filled_is_no_snapshot(void **state)
{
	struct usage_event ev = { .auth_index = STR("i") };
	struct usage_event other = { .auth_index = STR("j") };
	struct usage_event none = { .ts_ms = 1 };

	(void)state;
	read_list("[{\"auth_index\":\"i\"}]");
	assert_true(event_wants_account(&ev));
	event_add_account(&ev, list);
	assert_int_equal(ev.auth_snapshot_at_ms, 0);
	read_list(FULL);
	event_add_account(&other, list);
	assert_int_equal(other.account_snapshot.n, 0);
	assert_int_equal(other.auth_snapshot_at_ms, 0);
	assert_false(event_wants_account(&none));
	event_add_account(&none, list);
	assert_int_equal(none.account_snapshot.n, 0);
}

/* With Codex what was asked for counts; the list may be the first to say so. */
static void
the_tier_follows_the_provider(void **state)
{
	struct usage_event ev = { .auth_index = STR("i"),
		.request_service_tier = STR("priority"),
		.response_service_tier = STR("default"),
		.service_tier = STR("default") };
	struct usage_event other = ev;

	(void)state;
	read_list(FULL);
	event_add_account(&ev, list);
	IS(ev.service_tier, "priority");
	read_list("[{\"auth_index\":\"i\",\"provider\":\"claude\"}]");
	event_add_account(&other, list);
	IS(other.service_tier, "default");
	IS(other.auth_provider_snapshot, "claude");
}

/* Half a list would say of accounts that they do not exist. */
static void
a_list_beyond_all_measure_is_refused(void **state)
{
	const size_t n = 1024 * 1024;
	struct buf answer;
	struct err e;

	(void)state;
	buf_init(&answer, 8 * n);
	buf_char(&answer, '[');
	for (size_t i = 0; i < n; i++)
		buf_z(&answer, i == 0 ? "{}" : ",{}");
	buf_char(&answer, ']');
	assert_null(account_list_parse(buf_view(&answer), AT_MS, &e));
	assert_int_equal(e.kind, ERR_TOO_LARGE);
	buf_free(&answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shape_of_an_answer),
		cmocka_unit_test(no_accounts_is_an_answer_too),
		cmocka_unit_test(what_is_no_list_is_refused),
		cmocka_unit_test(every_spelling_of_a_member),
		cmocka_unit_test(labels_and_accounts_stand_in_for_each_other),
		cmocka_unit_test(keys_are_no_accounts),
		cmocka_unit_test(the_last_of_several_counts),
		cmocka_unit_test(each_of_many_is_found),
		cmocka_unit_test(what_is_empty_is_filled),
		cmocka_unit_test(what_is_there_stays),
		cmocka_unit_test(nothing_filled_is_no_snapshot),
		cmocka_unit_test(the_tier_follows_the_provider),
		cmocka_unit_test(a_list_beyond_all_measure_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, drop_list);
}
