/* Digests, base64, the data key and its file, sealed settings, admin keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* lib/err.h has one of its own */

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"
#include "crypt.h"
#include "json_in.h"

/* contract/http-api.md section 18.2: data key 00..1f */
#define KEY_TEXT "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define KEY_DERIVED \
	"3a803754fc5b8ee382001cb5c822d9fab726ab06c541babe624ddec3e5dca1ff"
#define SEALED "enc:v1:AAECAwQFBgcICQoL:Zy1QGlrl0SJq8qC9y6P9kpVhJz4hsFcp"

static char dir[] = "/tmp/t_crypt.XXXXXX";

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static const char *
in_dir(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void
write_file(const char *path, const void *p, size_t n, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
	close(fd);
}

static void
assert_hex(const void *p, size_t n, const char *want)
{
	char text[129];

	assert_true(n <= 64);
	hex_encode(p, n, text);
	assert_string_equal(text, want);
}

static struct data_key
known_key(void)
{
	struct data_key k;

	assert_int_equal(data_key_parse(STR(KEY_TEXT), false, &k, NULL), 0);
	return k;
}

static void
sha256_of_known_texts(void **state)
{
	unsigned char d[SHA256_BYTES];

	(void)state;
	sha256("abc", 3, d);
	assert_hex(d, sizeof d,
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256(NULL, 0, d);
	assert_hex(d, sizeof d,
	    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void *
hash_in_thread(void *arg)
{
	unsigned char *d = arg;

	for (int i = 0; i < 1000; i++)
		sha256("abc", 3, d);
	return NULL;
}

/* each thread has a context of its own, given back when it ends */
static void
sha256_in_threads(void **state)
{
	unsigned char d[4][SHA256_BYTES], want[SHA256_BYTES];
	pthread_t t[4];

	(void)state;
	sha256("abc", 3, want);
	for (int i = 0; i < 4; i++)
		assert_int_equal(
		    pthread_create(&t[i], NULL, hash_in_thread, d[i]), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		assert_memory_equal(d[i], want, sizeof want);
	}
}

/* RFC 4231, cases 2 and 6; and an empty key and message */
static void
hmac_of_known_texts(void **state)
{
	unsigned char d[SHA256_BYTES], key[131];
	static const char text[] =
	    "Test Using Larger Than Block-Size Key - Hash Key First";

	(void)state;
	hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, d);
	assert_hex(d, sizeof d,
	    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof key);
	hmac_sha256(key, sizeof key, text, sizeof text - 1, d);
	assert_hex(d, sizeof d,
	    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	hmac_sha256(NULL, 0, NULL, 0, d);
	assert_hex(d, sizeof d,
	    "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void
secrets_compare(void **state)
{
	(void)state;
	assert_true(secret_equal("abc", 3, "abc", 3));
	assert_false(secret_equal("abc", 3, "abd", 3));
	assert_false(secret_equal("abc", 3, "abcd", 4));
	assert_true(secret_equal(NULL, 0, "", 0));
}

static void
base62_has_only_its_digits(void **state)
{
	unsigned seen[256] = { 0 };
	char text[1001];

	(void)state;
	for (int round = 0; round < 20; round++) {
		assert_int_equal(random_base62(text, 1000, NULL), 0);
		assert_int_equal(strlen(text), 1000);
		for (const char *p = text; *p != '\0'; p++)
			seen[(unsigned char)*p]++;
	}
	/* 20000 draws of 62: about 323 each; 6 sigma are 108 */
	for (int c = 0; c < 256; c++) {
		bool digit = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			     (c >= 'a' && c <= 'z');

		if (!digit)
			assert_int_equal(seen[c], 0);
		else
			assert_in_range(seen[c], 215, 431);
	}
}

static void
base64_there_and_back(void **state)
{
	static const struct {
		const char *plain, *text;
	} cases[] = { { "", "" }, { "f", "Zg" }, { "fo", "Zm8" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg" }, { "fooba", "Zm9vYmE" },
		{ "foobar", "Zm9vYmFy" }, { "\xfb\xff\xfe", "+//+" } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t n = strlen(cases[i].plain);
		unsigned char back[16];
		struct buf b;

		buf_init(&b, 64);
		base64_encode(&b, cases[i].plain, n);
		assert_string_equal(buf_text(&b), cases[i].text);
		assert_int_equal(
		    base64_decode(buf_view(&b), back, sizeof back), (int)n);
		assert_memory_equal(back, cases[i].plain, n);
		buf_free(&b);
	}
}

static void
base64_takes_and_refuses(void **state)
{
	static const struct {
		const char *text;
		int n;
	} cases[] = {
		{ "Zg==", 1 },
		{ "Zm8=", 2 },
		{ "Zm9v\r\nYg==\n", 4 },
		{ "-__-", 3 },
		{ "Zh", 1 }, /* trailing bits are not looked at */
		{ "Z", -1 },
		{ "Zg=", -1 },
		{ "Zg===", -1 },
		{ "Zm9v=", -1 },
		{ "Zg==Zg==", -1 },
		{ "Zm 9v", -1 },
		{ "+_+_", -1 },
		{ "Zm9v\x80", -1 },
		{ "=", -1 },
		{ "Zm9vYmFyZm9vYmFy", -1 },
	};
	unsigned char out[8]; /* the last case does not fit */

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(
		    base64_decode(str_of(cases[i].text), out, sizeof out),
		    cases[i].n);
}

static void
data_key_in_all_forms(void **state)
{
	static const char raw[] = "abcdefghijklmnopqrstuvwxyz\x01\x02\x03\x04"
				  "\x05\x06";
	struct data_key k, other;

	(void)state;
	k = known_key();
	assert_true(k.present);
	assert_hex(k.settings, sizeof k.settings, KEY_DERIVED);
	assert_int_equal(
	    data_key_parse(STR(" " KEY_TEXT "=\n"), false, &k, NULL), 0);
	assert_hex(k.settings, sizeof k.settings, KEY_DERIVED);

	/* 32 bytes as they are; the same in base64 */
	assert_int_equal(
	    data_key_parse((struct str){ raw, 32 }, false, &k, NULL), 0);
	assert_int_equal(
	    data_key_parse(STR("YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoBAgMEBQY"),
		false, &other, NULL),
	    0);
	assert_memory_equal(k.settings, other.settings, sizeof k.settings);

	/* URL-safe, as long as it is not padded */
	assert_int_equal(
	    data_key_parse(STR("__________________________________________8"),
		false, &k, NULL),
	    0);
	assert_int_equal(
	    data_key_parse(STR("//////////////////////////////////////////8"),
		false, &other, NULL),
	    0);
	assert_memory_equal(k.settings, other.settings, sizeof k.settings);
	assert_int_equal(
	    data_key_parse(STR("__________________________________________8="),
		false, &k, NULL),
	    -1);

	data_key_wipe(&k);
	assert_false(k.present);
	assert_int_equal(k.settings[0], 0);
}

static void
data_key_from_passphrase(void **state)
{
	struct data_key k, want;
	struct err e = { 0 };
	unsigned char raw[32];
	struct buf text;

	(void)state;
	/* the contract gives the data key; what is kept is derived from it */
	assert_int_equal(
	    hex_decode(STR("166b7a170034f3176ca986c908a13b32c5890165ce04f102eb6"
			   "02363d2c2766d"),
		raw, sizeof raw),
	    0);
	buf_init(&text, 64);
	base64_encode(&text, raw, sizeof raw);
	assert_int_equal(
	    data_key_parse(buf_view(&text), false, &want, NULL), 0);
	buf_free(&text);
	assert_int_equal(
	    data_key_parse(STR(" correct horse\n"), true, &k, NULL), 0);
	assert_memory_equal(k.settings, want.settings, sizeof k.settings);

	assert_int_equal(
	    data_key_parse(STR("correct horse"), false, &k, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_string_equal(
	    e.text, "data key must be 32 bytes or base64-encoded 32 bytes");
	assert_int_equal(data_key_parse(STR(" \n"), true, &k, &e), -1);
	assert_string_equal(e.text, "data key is empty");
}

static void
key_file_made_and_read(void **state)
{
	struct data_key made, loaded, again;
	char text[64] = "", path[PATH_MAX];
	struct err e = { 0 };
	struct stat st;
	int fd;

	(void)state;
	/* directories that are missing are made for us alone */
	snprintf(path, sizeof path, "%s", in_dir("new/data.key"));
	assert_int_equal(data_key_load(path, &loaded, &e), -1);
	assert_int_equal(e.kind, ERR_MISSING);
	assert_false(loaded.present);

	assert_int_equal(data_key_create(path, &made, &e), 0);
	assert_true(made.present);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 44);
	assert_int_equal(st.st_nlink, 1); /* no temporary name is left */
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof text), 44);
	close(fd);
	assert_int_equal(text[43], '\n');
	assert_int_equal(stat(in_dir("new"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);

	assert_int_equal(data_key_load(path, &loaded, &e), 0);
	assert_memory_equal(
	    made.settings, loaded.settings, sizeof made.settings);

	/* the second starter gets the first one's key */
	assert_int_equal(data_key_create(path, &again, &e), 0);
	assert_memory_equal(
	    made.settings, again.settings, sizeof made.settings);

	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(in_dir("new")), 0);
}

static void
key_file_shared_with_a_group(void **state)
{
	struct data_key k;
	struct stat st;

	(void)state;
	assert_int_equal(mkdir(in_dir("shared"), 0700), 0);
	assert_int_equal(chmod(in_dir("shared"), 02770), 0);
	assert_int_equal(data_key_create(in_dir("shared/k"), &k, NULL), 0);
	assert_int_equal(stat(in_dir("shared/k"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	unlink(in_dir("shared/k"));
	assert_int_equal(rmdir(in_dir("shared")), 0);
}

/* Programs that start at the same moment end up with one key. */
static void
key_file_made_by_many(void **state)
{
	unsigned char first[DATA_KEY_BYTES], other[DATA_KEY_BYTES];
	int go[2], result[2], status;
	char c;

	(void)state;
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(result), 0);
	for (int i = 0; i < 8; i++) {
		if (fork() == 0) {
			struct data_key k;

			close(go[1]);
			/* returns when the parent lets all of them go */
			(void)!read(go[0], &c, 1);
			if (data_key_create(in_dir("many"), &k, NULL) != 0)
				_exit(1);
			_exit(write(result[1], k.settings, DATA_KEY_BYTES) !=
			      DATA_KEY_BYTES);
		}
	}
	close(go[1]);
	for (int i = 0; i < 8; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
		assert_int_equal(
		    read(result[0], i == 0 ? first : other, DATA_KEY_BYTES),
		    DATA_KEY_BYTES);
		if (i > 0)
			assert_memory_equal(first, other, DATA_KEY_BYTES);
	}
	close(go[0]);
	close(result[0]);
	close(result[1]);
	assert_int_equal(unlink(in_dir("many")), 0);
}

static void
key_file_that_is_none(void **state)
{
	struct data_key k;
	struct err e = { 0 };
	char target[PATH_MAX];

	(void)state;
	write_file(in_dir("k"), "too short\n", 10, 0600);
	assert_int_equal(data_key_load(in_dir("k"), &k, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_non_null(strstr(
	    e.text, "data key must be 32 bytes or base64-encoded 32 bytes"));
	assert_non_null(strstr(e.text, dir));
	write_file(in_dir("k"), "", 0, 0600);
	assert_int_equal(data_key_load(in_dir("k"), &k, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);

	/* no links, no directories, and no waiting for a FIFO's writer */
	snprintf(target, sizeof target, "%s", in_dir("k"));
	assert_int_equal(symlink(target, in_dir("link")), 0);
	assert_int_equal(data_key_load(in_dir("link"), &k, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	assert_non_null(strstr(e.text, "symbolic link"));
	assert_int_equal(data_key_load(dir, &k, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_int_equal(data_key_load(in_dir("fifo"), &k, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);

	/* nothing is made where nothing can be */
	assert_int_equal(data_key_create(in_dir("k/below/key"), &k, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	assert_false(k.present);
	unlink(in_dir("k"));
	unlink(in_dir("link"));
	unlink(in_dir("fifo"));
}

static void
seal_opens_the_references(void **state)
{
	struct data_key k = known_key();
	struct buf out;

	(void)state;
	buf_init(&out, 1024);
	assert_true(secret_is_sealed(STR(SEALED)));
	assert_int_equal(secret_open(&k, STR(SEALED), &out, NULL), 0);
	assert_string_equal(buf_text(&out), "demo-key");
	buf_wipe(&out);
}

static void
seal_there_and_back(void **state)
{
	struct data_key k = known_key();
	struct buf first, second, out;

	(void)state;
	buf_init(&first, 1024);
	buf_init(&second, 1024);
	buf_init(&out, 1024);
	assert_int_equal(secret_seal(&k, STR(" demo-key\n"), &first, NULL), 0);
	assert_int_equal(secret_seal(&k, STR("demo-key"), &second, NULL), 0);
	assert_int_equal(first.n, sizeof SEALED - 1);
	assert_true(secret_is_sealed(buf_view(&first)));
	assert_string_not_equal(buf_text(&first), buf_text(&second));
	assert_null(strstr(buf_text(&first), "demo"));
	assert_int_equal(secret_open(&k, buf_view(&first), &out, NULL), 0);
	assert_string_equal(buf_text(&out), "demo-key");

	/* sealed already; nothing; not sealed: as they are */
	buf_clear(&out);
	assert_int_equal(secret_seal(&k, STR(SEALED), &out, NULL), 0);
	assert_string_equal(buf_text(&out), SEALED);
	buf_clear(&out);
	assert_int_equal(secret_seal(&k, STR("  "), &out, NULL), 0);
	assert_int_equal(out.n, 0);
	assert_int_equal(secret_open(&k, STR("plain"), &out, NULL), 0);
	assert_string_equal(buf_text(&out), "plain");
	buf_free(&first);
	buf_free(&second);
	buf_free(&out);
}

static void
seal_refuses(void **state)
{
	static const char *const broken[] = { "enc:v1:", "enc:v1:AAAA",
		"enc:v1:AAECAwQFBgcICQoL",
		"enc:v1:AAECAwQFBgcICQoL:", "enc:v1:AAECAwQFBgcICQoL:Zy1Q",
		"enc:v1:AAEC:" KEY_TEXT, SEALED ":AAAA", SEALED "=" };
	struct data_key k = known_key(), none = { .present = false }, other;
	char forged[] = SEALED;
	struct err e = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 1024);
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		assert_int_equal(
		    secret_open(&k, str_of(broken[i]), &out, &e), -1);
		assert_int_equal(e.kind, ERR_UNAVAILABLE);
		assert_string_equal(e.text, "invalid encrypted secret format");
	}
	assert_int_equal(data_key_parse(STR("another"), true, &other, NULL), 0);
	assert_int_equal(secret_open(&other, STR(SEALED), &out, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	assert_string_equal(
	    e.text, "decrypt secret: invalid data key or corrupted ciphertext");
	forged[sizeof forged - 2] ^= 1;
	assert_int_equal(secret_open(&k, str_of(forged), &out, &e), -1);
	assert_int_equal(secret_open(&none, STR(SEALED), &out, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	assert_int_equal(secret_seal(&none, STR("x"), &out, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	assert_int_equal(out.n, 0); /* nothing of a forged text got out */
	buf_free(&out);
}

#define RECORD(hash, rounds)                                              \
	"{\"version\":1,\"salt\":\"AAECAwQFBgcICQoLDA0ODw\",\"keyHash\":" \
	"\"" hash "\",\"iterations\":" rounds ",\"createdAtMs\":1}"
#define HASH_1 "ChMz3+vEC1QC8FQJhJaJNeZRM6qCyWq1im1xlTZ8qaI"
#define HASH_2 "hKu4CcntiYLLMDfYFbJkNGg1T+mMu776jNvDxSNS2yQ"

static void
admin_records_of_the_reference(void **state)
{
	struct str key = STR(" cpamp_demo\n");

	(void)state;
	assert_int_equal(
	    admin_record_check(STR(RECORD(HASH_1, "1")), key, NULL), 1);
	assert_int_equal(
	    admin_record_check(STR(RECORD(HASH_1, "0")), key, NULL), 1);
	assert_int_equal(
	    admin_record_check(STR(RECORD(HASH_1, "-5")), key, NULL), 1);
	assert_int_equal(
	    admin_record_check(STR(RECORD(HASH_2, "2")), key, NULL), 1);
	assert_int_equal(
	    admin_record_check(STR(RECORD(HASH_2, "3")), key, NULL), 0);
	assert_int_equal(admin_record_check(
			     STR(RECORD(HASH_1, "1")), STR("cpamp_dem"), NULL),
	    0);
	assert_int_equal(
	    admin_record_check(STR(RECORD(HASH_1, "1")), STR(""), NULL), 0);
}

static void
admin_record_broken(void **state)
{
	static const char *const broken[] = { "", "{", "[]", "{}",
		RECORD("AAAA", "1"), RECORD(HASH_1 "AA", "1"),
		RECORD(HASH_1, "\"1\""), RECORD(HASH_1, "99999999999") };
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		e = (struct err){ 0 };
		assert_int_equal(
		    admin_record_check(str_of(broken[i]), STR("x"), &e), -1);
		assert_int_equal(e.kind, ERR_INTERNAL);
		assert_non_null(strstr(e.text, "reset-admin-key"));
	}
}

static void
admin_record_made(void **state)
{
	struct buf out;
	json_t *j;

	(void)state;
	buf_init(&out, 1024);
	assert_int_equal(admin_record_make(STR(" my own long key "), "env", 123,
			     0, &out, NULL),
	    0);
	assert_null(strstr(buf_text(&out), "my own"));
	assert_int_equal(
	    admin_record_check(buf_view(&out), STR("my own long key"), NULL),
	    1);
	assert_int_equal(
	    admin_record_check(buf_view(&out), STR("my own long kez"), NULL),
	    0);
	j = json_in_parse(buf_view(&out), true, NULL);
	assert_int_equal(json_integer_value(json_in_get(j, "version")), 1);
	assert_int_equal(json_integer_value(json_in_get(j, "iterations")), 1);
	assert_int_equal(
	    json_integer_value(json_in_get(j, "createdAtMs")), 123);
	assert_null(json_in_get(j, "rotatedAtMs"));
	assert_true(str_eq(json_in_text(json_in_get(j, "source")), STR("env")));
	json_decref(j);

	buf_clear(&out);
	assert_int_equal(
	    admin_record_make(STR("my own long key"), "cli", 0, 9, &out, NULL),
	    0);
	j = json_in_parse(buf_view(&out), true, NULL);
	assert_true(
	    json_integer_value(json_in_get(j, "createdAtMs")) > 1700000000000);
	assert_int_equal(json_integer_value(json_in_get(j, "rotatedAtMs")), 9);
	json_decref(j);
	assert_int_equal(
	    admin_record_make(STR(" "), "cli", 0, 0, &out, NULL), -1);
	buf_free(&out);
}

static void
admin_key_made(void **state)
{
	char one[64], two[64];

	(void)state;
	assert_int_equal(admin_key_generate(one, NULL), 0);
	assert_int_equal(admin_key_generate(two, NULL), 0);
	assert_int_equal(strlen(one), strlen(ADMIN_KEY_PREFIX) + 32);
	assert_memory_equal(one, ADMIN_KEY_PREFIX, strlen(ADMIN_KEY_PREFIX));
	assert_string_not_equal(one, two);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_of_known_texts),
		cmocka_unit_test(sha256_in_threads),
		cmocka_unit_test(hmac_of_known_texts),
		cmocka_unit_test(secrets_compare),
		cmocka_unit_test(base62_has_only_its_digits),
		cmocka_unit_test(base64_there_and_back),
		cmocka_unit_test(base64_takes_and_refuses),
		cmocka_unit_test(data_key_in_all_forms),
		cmocka_unit_test(data_key_from_passphrase),
		cmocka_unit_test(key_file_made_and_read),
		cmocka_unit_test(key_file_shared_with_a_group),
		cmocka_unit_test(key_file_made_by_many),
		cmocka_unit_test(key_file_that_is_none),
		cmocka_unit_test(seal_opens_the_references),
		cmocka_unit_test(seal_there_and_back),
		cmocka_unit_test(seal_refuses),
		cmocka_unit_test(admin_records_of_the_reference),
		cmocka_unit_test(admin_record_broken),
		cmocka_unit_test(admin_record_made),
		cmocka_unit_test(admin_key_made),
	};

	return cmocka_run_group_tests_name(
	    "crypt", tests, make_dir, remove_dir);
}
