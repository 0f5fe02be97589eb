/*
 * Secrets out of JSON, by the names of their keys: contract/collector.md
 * section 6.11, and more keys than that.
 */
#include "model/redact.h"

#include <stdlib.h>
#include <string.h>

#include "model/mask.h"
#include "model/normalise.h"
#include "model/textclean.h"

#define KEY_MAX 64
#define TREE_MAX ((size_t)64 * 1024 * 1024)
#define CLIENT_MAX 2048

enum shown { SHOWN, SHOWN_CLEAN, SHOWN_MASKED, HIDDEN };

static const struct {
	const char *name; /* lower case, - and blank as _ */
	enum shown shown;
} names[] = {
	{ "api_key", HIDDEN },
	{ "apikey", HIDDEN },
	{ "x_api_key", HIDDEN },
	{ "x_goog_api_key", HIDDEN },
	{ "key", HIDDEN },
	{ "authorization", HIDDEN },
	{ "proxy_authorization", HIDDEN },
	{ "cookie", HIDDEN },
	{ "set_cookie", HIDDEN },
	{ "set_cookie2", HIDDEN },
	{ "access_token", HIDDEN },
	{ "accesstoken", HIDDEN },
	{ "refresh_token", HIDDEN },
	{ "refreshtoken", HIDDEN },
	{ "id_token", HIDDEN },
	{ "idtoken", HIDDEN },
	{ "auth_token", HIDDEN },
	{ "session_token", HIDDEN },
	{ "x_auth_token", HIDDEN },
	{ "token", HIDDEN },
	{ "password", HIDDEN },
	{ "passwd", HIDDEN },
	{ "source", SHOWN_MASKED },
	{ "client_ip", SHOWN_CLEAN },
	{ "clientip", SHOWN_CLEAN },
	{ "x_forwarded_for", SHOWN_CLEAN },
	{ "xforwardedfor", SHOWN_CLEAN },
	{ "user_agent", SHOWN_CLEAN },
	{ "useragent", SHOWN_CLEAN },
};

static enum shown
how_shown(struct str key)
{
	char text[KEY_MAX];
	struct str name = { text, 0 };

	key = str_trim(key);
	if (key.n > sizeof text)
		return str_contains_nocase(key, STR("secret")) ? HIDDEN : SHOWN;
	for (; name.n < key.n; name.n++) {
		char c = key.p[name.n];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 32);
		text[name.n] = c == '-' || c == ' ' ? '_' : c;
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (str_eq(name, str_of(names[i].name)))
			return names[i].shown;
	return str_contains(name, STR("secret")) ? HIDDEN : SHOWN;
}

static void
write_text(struct str s, enum shown shown, struct json_out *o, struct arena *a)
{
	if (shown == SHOWN_CLEAN)
		s = clean_text(s, CLIENT_MAX, a);
	else if (shown == SHOWN_MASKED)
		s = is_plain_label(s) ? mask_source(s, a) : mask_key(s, a);
	json_out_str(o, redact_text(s, a));
}

static void
write_value(const struct json_tree *v, enum shown shown, bool texts,
    struct json_out *o, struct arena *a)
{
	struct json_tree_place *members;
	size_t n;

	if (o->failed)
		return;
	if (shown == HIDDEN) {
		json_out_z(o, "[redacted]");
		return;
	}
	switch (v->type) {
	case TREE_OBJECT:
		json_out_object(o);
		if ((members = json_tree_sorted(v, a, &n)) == NULL)
			o->failed = true;
		for (size_t i = 0; members != NULL && i < n; i++) {
			json_out_key_str(
			    o, texts ? redact_text(members[i].v->key, a) :
				       members[i].v->key);
			write_value(members[i].v, how_shown(members[i].v->key),
			    texts, o, a);
		}
		json_out_object_end(o);
		break;
	case TREE_LIST:
		json_out_array(o);
		for (v = v->first; v != NULL; v = v->next)
			write_value(v, shown, texts, o, a);
		json_out_array_end(o);
		break;
	case TREE_TEXT:
		if (texts)
			write_text(v->text, shown, o, a);
		else
			json_out_str(o, v->text);
		break;
	default:
		json_tree_write(v, o, a);
		break;
	}
}

void
redact_write(
    const struct json_tree *v, bool texts, struct json_out *o, struct arena *a)
{
	write_value(v, SHOWN, texts, o, a);
}

/* JSON that begins a long payload is shown as far as limit reaches. */
static struct str
redact_tree(const struct json_tree *v, size_t limit, struct arena *a)
{
	struct str s = { NULL, 0 };
	struct arena scratch;
	struct json_out o;
	struct buf b;
	char *copy;

	arena_init(&scratch, TREE_MAX);
	buf_init(&b, limit);
	json_out_init(&o, &b, NULL, NULL);
	redact_write(v, true, &o, &scratch);
	s = cut_text(buf_view(&b), limit);
	copy = arena_strdup(a, s);
	s.p = copy;
	if (copy == NULL)
		s.n = 0;
	buf_free(&b);
	arena_free(&scratch);
	return s;
}

struct str
redact_payload(struct str item, size_t limit, struct arena *a)
{
	const struct json_tree *v;
	struct arena tree;
	struct str s;

	arena_init(&tree, TREE_MAX);
	v = json_tree_parse(str_trim(item), &tree, NULL);
	if (v != NULL && (v->type == TREE_OBJECT || v->type == TREE_LIST))
		s = redact_tree(v, limit, a);
	else
		s = cut_text(
		    redact_broken_payload(repair_text(item, a), a), limit);
	arena_free(&tree);
	return s;
}
