/*
 * The data key and what is sealed with it.
 *
 * The key file holds 32 bytes in base64; settings are sealed with a key that
 * is derived from them, never with the bytes themselves, so only the derived
 * one stays in memory.
 */
#include "crypt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "crypt_impl.h"
#include "log.h"

#define PASSPHRASE_INFO "data-key-v1"
#define SETTINGS_INFO "settings-secrets-v1"
#define SEAL_PREFIX "enc:v1:"
#define SEAL_AAD "settings-secret"
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define KEY_FILE_MAX 1024        /* far more than any form of a key */
#define SECRET_MAX (1024 * 1024) /* a setting that is sealed */

static void
data_key_derive(const unsigned char raw[DATA_KEY_BYTES], struct data_key *k)
{
	crypt_hkdf(raw, DATA_KEY_BYTES, SETTINGS_INFO, k->settings);
	k->present = true;
}

int
data_key_parse(
    struct str text, bool passphrase, struct data_key *k, struct err *e)
{
	/* room for one byte more, so that a longer text is no 32 byte key */
	unsigned char raw[DATA_KEY_BYTES + 1];
	int rc = 0;

	*k = (struct data_key){ .present = false };
	text = str_trim(text);
	if (text.n == 0)
		return fail(e, ERR_INPUT, "data key is empty");
	if (base64_decode_as(text, BASE64_STD, BASE64_ANY, raw, sizeof raw) ==
		DATA_KEY_BYTES ||
	    base64_decode_as(text, BASE64_URL, BASE64_RAW, raw, sizeof raw) ==
		DATA_KEY_BYTES)
		data_key_derive(raw, k);
	else if (text.n == DATA_KEY_BYTES) {
		memcpy(raw, text.p, DATA_KEY_BYTES);
		data_key_derive(raw, k);
	} else if (passphrase) {
		crypt_hkdf(text.p, text.n, PASSPHRASE_INFO, raw);
		data_key_derive(raw, k);
	} else
		rc = fail(e, ERR_INPUT,
		    "data key must be 32 bytes or base64-encoded 32 bytes");
	explicit_bzero(raw, sizeof raw);
	return rc;
}

/* Read all of fd, at most size bytes.  Returns their number, or -1. */
static ssize_t
read_all(int fd, char *p, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t got = read(fd, p + n, size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

int
data_key_load(const char *path, struct data_key *k, struct err *e)
{
	char text[KEY_FILE_MAX];
	struct stat st;
	ssize_t n;
	int fd, rc = -1;

	*k = (struct data_key){ .present = false };
	/* O_NONBLOCK: a FIFO in its place must not hold the start up */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1 && errno == ENOENT)
		return fail(e, ERR_MISSING, "data key %s does not exist", path);
	if (fd == -1 && errno == ELOOP)
		return fail(e, ERR_UNAVAILABLE,
		    "data key %s is a symbolic link; name the file itself",
		    path);
	if (fd == -1)
		return fail(e, ERR_UNAVAILABLE, "data key %s: %s", path,
		    strerrordesc_np(errno));
	if (fstat(fd, &st) == -1) {
		fail(e, ERR_UNAVAILABLE, "data key %s: %s", path,
		    strerrordesc_np(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		fail(e, ERR_UNAVAILABLE, "data key %s is not a file", path);
		goto out;
	}
	if ((n = read_all(fd, text, sizeof text)) == -1) {
		fail(e, ERR_UNAVAILABLE, "data key %s: %s", path,
		    strerrordesc_np(errno));
		goto out;
	}
	if ((st.st_mode & S_IRWXO) != 0)
		log_write(LOG_WARN,
		    "data key is open to everybody, chmod it "
		    "to 0600",
		    LOG_Z("path", path));
	rc = data_key_parse((struct str){ text, (size_t)n }, false, k, e);
	if (rc != 0)
		fail_prefix(e, "%s", path);
out:
	close(fd);
	explicit_bzero(text, sizeof text);
	return rc;
}

/* Directory part of path into out; "." when there is none. */
static int
directory_of(const char *path, char out[PATH_MAX], struct err *e)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 1 :
		   slash == path ? 1 :
				   (size_t)(slash - path);

	if (n >= PATH_MAX)
		return fail(e, ERR_INPUT, "data key: path too long");
	memcpy(out, slash == NULL ? "." : path, n);
	out[n] = '\0';
	return 0;
}

/* Make dir and what is missing above it, for us alone. */
static int
make_directories(char *dir, struct err *e)
{
	size_t n = strlen(dir);

	for (size_t i = 1; i <= n; i++) {
		char c = dir[i];

		if (c != '/' && c != '\0')
			continue;
		dir[i] = '\0';
		if (mkdir(dir, 0700) == -1 && errno != EEXIST)
			return fail(e, ERR_UNAVAILABLE,
			    "cannot make the directory %s: %s", dir,
			    strerrordesc_np(errno));
		dir[i] = c;
	}
	return 0;
}

static int
write_durably(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		p += put;
		n -= (size_t)put;
	}
	return fsync(fd);
}

/*
 * Written beside its place and linked into it: the name appears with its
 * whole content or not at all, and of two starters one gets EEXIST.
 */
static int
key_file_put(const char *path, int dir_fd, const struct buf *text, bool *lost,
    struct err *e)
{
	char tmp[PATH_MAX], suffix[9];
	struct stat dir;
	int fd = -1, rc = -1, n;

	*lost = false;
	if (random_base62(suffix, sizeof suffix - 1, e) != 0)
		return -1;
	n = snprintf(tmp, sizeof tmp, "%s.%s", path, suffix);
	if (n < 0 || (size_t)n >= sizeof tmp)
		return fail(e, ERR_INPUT, "data key: path too long");
	fd = open(
	    tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return fail(e, ERR_UNAVAILABLE,
		    "cannot make the data key %s: %s", path,
		    strerrordesc_np(errno));
	/*
	 * A directory made for a group (2770) is shared by two users, as under
	 * mod_fcgid: both need the key.
	 */
	if (fstat(dir_fd, &dir) == -1 ||
	    ((dir.st_mode & S_ISGID) != 0 && (dir.st_mode & S_IWGRP) != 0 &&
		fchmod(fd, 0640) == -1) ||
	    write_durably(fd, text->p, text->n) == -1) {
		fail(e, ERR_UNAVAILABLE, "cannot write the data key %s: %s",
		    path, strerrordesc_np(errno));
		goto out;
	}
	if (link(tmp, path) == -1) {
		if (errno == EEXIST)
			*lost = true;
		else {
			fail(e, ERR_UNAVAILABLE,
			    "cannot make the data key %s: %s", path,
			    strerrordesc_np(errno));
			goto out;
		}
	}
	rc = 0;
out:
	close(fd);
	unlink(tmp);
	if (rc == 0 && fsync(dir_fd) == -1)
		rc = fail(e, ERR_UNAVAILABLE, "data key %s: %s", path,
		    strerrordesc_np(errno));
	return rc;
}

int
data_key_create(const char *path, struct data_key *k, struct err *e)
{
	unsigned char raw[DATA_KEY_BYTES];
	char dir[PATH_MAX] = "";
	struct buf text;
	int dir_fd = -1, rc = -1;
	bool lost;

	*k = (struct data_key){ .present = false };
	buf_init(&text, KEY_FILE_MAX);
	if (directory_of(path, dir, e) != 0 || make_directories(dir, e) != 0 ||
	    random_bytes(raw, sizeof raw, e) != 0)
		goto out;
	base64_encode(&text, raw, sizeof raw);
	buf_char(&text, '\n');
	if (text.failed) {
		fail(e, ERR_UNAVAILABLE, "data key: out of memory");
		goto out;
	}
	if ((dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1) {
		fail(e, ERR_UNAVAILABLE, "%s: %s", dir, strerrordesc_np(errno));
		goto out;
	}
	if (key_file_put(path, dir_fd, &text, &lost, e) != 0)
		goto out;
	if (lost)
		rc = data_key_load(path, k, e);
	else {
		data_key_derive(raw, k);
		rc = 0;
	}
out:
	if (dir_fd != -1)
		close(dir_fd);
	buf_wipe(&text);
	explicit_bzero(raw, sizeof raw);
	return rc;
}

void
data_key_wipe(struct data_key *k)
{
	explicit_bzero(k, sizeof *k);
}

bool
secret_is_sealed(struct str s)
{
	return str_starts(s, STR(SEAL_PREFIX));
}

/* GCM over n bytes at p in place of out; tag is written or checked. */
static bool
seal_crypt(const struct data_key *k, const unsigned char *nonce, bool sealing,
    const unsigned char *p, size_t n, unsigned char *out,
    unsigned char tag[TAG_BYTES])
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int got = 0, rest = 0;
	bool good = false;

	if (c == NULL)
		crypt_broken("EVP_CIPHER_CTX_new");
	if (EVP_CipherInit_ex2(c, crypt_algorithms()->aes_256_gcm, k->settings,
		nonce, sealing, NULL) &&
	    EVP_CipherUpdate(c, NULL, &got, (const unsigned char *)SEAL_AAD,
		sizeof SEAL_AAD - 1) &&
	    EVP_CipherUpdate(c, out, &got, p, (int)n) && got == (int)n &&
	    (sealing || EVP_CIPHER_CTX_ctrl(
			    c, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag)) &&
	    EVP_CipherFinal_ex(c, out + got, &rest) &&
	    (!sealing ||
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag)))
		good = true;
	EVP_CIPHER_CTX_free(c);
	return good;
}

int
secret_seal(
    const struct data_key *k, struct str plain, struct buf *out, struct err *e)
{
	unsigned char nonce[NONCE_BYTES], *p;
	struct buf raw;
	int rc = -1;

	plain = str_trim(plain);
	if (plain.n == 0 || secret_is_sealed(plain)) {
		buf_str(out, plain);
		return out->failed ?
			   fail(e, ERR_UNAVAILABLE, "sealing: out of memory") :
			   0;
	}
	if (!k->present)
		return fail(e, ERR_UNAVAILABLE,
		    "there is no data key to seal the setting with");
	if (plain.n > SECRET_MAX)
		return fail(e, ERR_INPUT, "the secret is too long");
	buf_init(&raw, SECRET_MAX + TAG_BYTES);
	if (random_bytes(nonce, sizeof nonce, e) != 0)
		goto out;
	p = (unsigned char *)buf_reserve(&raw, plain.n + TAG_BYTES);
	if (p == NULL) {
		fail(e, ERR_UNAVAILABLE, "sealing: out of memory");
		goto out;
	}
	if (!seal_crypt(k, nonce, true, (const unsigned char *)plain.p, plain.n,
		p, p + plain.n))
		crypt_broken("AES-256-GCM");
	buf_z(out, SEAL_PREFIX);
	base64_encode(out, nonce, sizeof nonce);
	buf_char(out, ':');
	base64_encode(out, p, plain.n + TAG_BYTES);
	rc = out->failed ? fail(e, ERR_UNAVAILABLE, "sealing: out of memory") :
			   0;
out:
	buf_free(&raw);
	return rc;
}

int
secret_open(
    const struct data_key *k, struct str sealed, struct buf *out, struct err *e)
{
	unsigned char nonce[NONCE_BYTES], *raw, *plain;
	struct str first, second;
	const char *colon;
	struct buf work;
	int n, rc = -1;

	if (!secret_is_sealed(sealed)) {
		buf_str(out, sealed);
		return out->failed ?
			   fail(e, ERR_UNAVAILABLE, "opening: out of memory") :
			   0;
	}
	first.p = sealed.p + sizeof SEAL_PREFIX - 1;
	first.n = sealed.n - (sizeof SEAL_PREFIX - 1);
	if ((colon = memchr(first.p, ':', first.n)) == NULL)
		return fail(
		    e, ERR_UNAVAILABLE, "invalid encrypted secret format");
	second.p = colon + 1;
	second.n = first.n - (size_t)(second.p - first.p);
	first.n = (size_t)(colon - first.p);
	if (second.n > SECRET_MAX * 2)
		return fail(
		    e, ERR_UNAVAILABLE, "invalid encrypted secret format");

	buf_init(&work, SECRET_MAX * 2 + 1);
	raw = (unsigned char *)buf_reserve(&work, second.n + 1);
	if (raw == NULL) {
		fail(e, ERR_UNAVAILABLE, "opening: out of memory");
		goto out;
	}
	/* a second colon is no digit of base64, and is refused with the rest */
	n = base64_decode_as(second, BASE64_STD, BASE64_RAW, raw, second.n);
	if (n < TAG_BYTES || base64_decode_as(first, BASE64_STD, BASE64_RAW,
				 nonce, sizeof nonce) != NONCE_BYTES) {
		fail(e, ERR_UNAVAILABLE, "invalid encrypted secret format");
		goto out;
	}
	n -= TAG_BYTES;
	if (!k->present) {
		fail(e, ERR_UNAVAILABLE,
		    "decrypt secret: there is no data key to open it with");
		goto out;
	}
	plain = (unsigned char *)buf_reserve(out, (size_t)n + 1);
	if (plain == NULL) {
		fail(e, ERR_UNAVAILABLE, "opening: out of memory");
		goto out;
	}
	if (!seal_crypt(k, nonce, false, raw, (size_t)n, plain, raw + n)) {
		explicit_bzero(plain, (size_t)n);
		fail(e, ERR_UNAVAILABLE,
		    "decrypt secret: invalid data key or corrupted ciphertext");
		goto out;
	}
	buf_commit(out, (size_t)n);
	rc = 0;
out:
	buf_free(&work);
	return rc;
}
