/*
 * The primitives: digests, random numbers, base64.
 *
 * Fetching an algorithm costs more than hashing a short text with it, so all
 * are fetched once.  sha256() is on the intake's path, several times an
 * event: a context kept by each thread takes 125 ns for 64 bytes, a fresh one
 * 160 ns, and EVP_sha256() without a fetch 350 ns.  It also means that memory
 * can run out only at a thread's first digest.
 */
#include "crypt.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "crypt_impl.h"
#include "log.h"

#define HKDF_SALT "cpa-manager-plus"

static struct crypt_algorithms algorithms;
static pthread_once_t algorithms_once = PTHREAD_ONCE_INIT;
static pthread_key_t digest_key; /* frees a thread's context when it ends */
static _Thread_local EVP_MD_CTX *digest_context;

void
crypt_broken(const char *what)
{
	log_write(LOG_ERROR, "OpenSSL does not work", LOG_Z("call", what));
	abort();
}

static void
digest_context_free(void *context)
{
	EVP_MD_CTX_free(context);
}

static void
algorithms_fetch(void)
{
	algorithms.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	algorithms.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	algorithms.hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	algorithms.pbkdf2 = EVP_KDF_fetch(NULL, "PBKDF2", NULL);
	algorithms.aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	if (algorithms.sha256 == NULL || algorithms.hmac == NULL ||
	    algorithms.hkdf == NULL || algorithms.pbkdf2 == NULL ||
	    algorithms.aes_256_gcm == NULL)
		crypt_broken("fetch");
	if (pthread_key_create(&digest_key, digest_context_free) != 0)
		crypt_broken("pthread_key_create");
}

const struct crypt_algorithms *
crypt_algorithms(void)
{
	pthread_once(&algorithms_once, algorithms_fetch);
	return &algorithms;
}

static EVP_MD_CTX *
digest_context_new(void)
{
	EVP_MD_CTX *context;

	crypt_algorithms();
	if ((context = EVP_MD_CTX_new()) == NULL ||
	    pthread_setspecific(digest_key, context) != 0)
		crypt_broken("EVP_MD_CTX_new");
	return digest_context = context;
}

void
sha256(const void *p, size_t n, unsigned char out[SHA256_BYTES])
{
	EVP_MD_CTX *context = digest_context;

	if (context == NULL)
		context = digest_context_new();
	if (!EVP_DigestInit_ex2(context, algorithms.sha256, NULL) ||
	    (n > 0 && !EVP_DigestUpdate(context, p, n)) ||
	    !EVP_DigestFinal_ex(context, out, NULL))
		crypt_broken("EVP_Digest");
}

void
hmac_sha256(const void *key, size_t key_n, const void *p, size_t n,
    unsigned char out[SHA256_BYTES])
{
	static char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC_CTX *context = EVP_MAC_CTX_new(crypt_algorithms()->hmac);
	size_t out_n;

	/* a NULL key would mean "the key of last time" */
	if (context == NULL ||
	    !EVP_MAC_init(context, key_n > 0 ? key : "", key_n, params) ||
	    (n > 0 && !EVP_MAC_update(context, p, n)) ||
	    !EVP_MAC_final(context, out, &out_n, SHA256_BYTES))
		crypt_broken("EVP_MAC");
	EVP_MAC_CTX_free(context);
}

void
crypt_hkdf(const void *ikm, size_t n, const char *info,
    unsigned char out[DATA_KEY_BYTES])
{
	static char digest[] = "SHA256", salt[] = HKDF_SALT;
	EVP_KDF_CTX *context = EVP_KDF_CTX_new(crypt_algorithms()->hkdf);
	/* OSSL_PARAM is made for both directions; these are only read */
	union {
		const void *in;
		void *param;
	} key = { .in = ikm }, label = { .in = info };
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(
		    OSSL_KDF_PARAM_KEY, key.param, n),
		OSSL_PARAM_construct_octet_string(
		    OSSL_KDF_PARAM_SALT, salt, sizeof salt - 1),
		OSSL_PARAM_construct_octet_string(
		    OSSL_KDF_PARAM_INFO, label.param, strlen(info)),
		OSSL_PARAM_construct_end(),
	};

	if (context == NULL ||
	    EVP_KDF_derive(context, out, DATA_KEY_BYTES, params) != 1)
		crypt_broken("HKDF");
	EVP_KDF_CTX_free(context);
}

bool
secret_equal(const void *a, size_t a_n, const void *b, size_t b_n)
{
	return a_n == b_n && (a_n == 0 || CRYPTO_memcmp(a, b, a_n) == 0);
}

int
random_bytes(void *out, size_t n, struct err *e)
{
	unsigned char *p = out;

	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return fail(e, ERR_INTERNAL, "random numbers: %s",
			    strerrordesc_np(errno));
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

int
random_base62(char *out, size_t n, struct err *e)
{
	static const char digits[] = "0123456789"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz";
	unsigned char raw[64];
	size_t used = sizeof raw;
	int rc = 0;

	for (size_t i = 0; i < n;) {
		if (used == sizeof raw) {
			if ((rc = random_bytes(raw, sizeof raw, e)) != 0)
				break;
			used = 0;
		}
		/* 248 = 4 * 62: what is above would favour the first digits */
		if (raw[used] < 248)
			out[i++] = digits[raw[used] % 62];
		used++;
	}
	out[rc == 0 ? n : 0] = '\0';
	explicit_bzero(raw, sizeof raw);
	return rc;
}

void
base64_encode(struct buf *b, const void *p, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";
	const unsigned char *in = p;

	for (; n > 0; n -= n < 3 ? n : 3, in += 3) {
		unsigned v = (unsigned)in[0] << 16;
		char out[4];

		if (n > 1)
			v |= (unsigned)in[1] << 8;
		if (n > 2)
			v |= in[2];
		for (int i = 0; i < 4; i++)
			out[i] = digits[v >> (18 - 6 * i) & 63];
		buf_add(b, out, n < 3 ? n + 1 : 4);
	}
}

/* Value of one digit, or -1; *url and *std note which alphabet it needs. */
static int
base64_digit(char c, bool *std, bool *url)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '/') {
		*std = true;
		return c == '+' ? 62 : 63;
	}
	if (c == '-' || c == '_') {
		*url = true;
		return c == '-' ? 62 : 63;
	}
	return -1;
}

int
base64_decode_as(struct str s, enum base64_alphabet alphabet,
    enum base64_padding padding, unsigned char *out, size_t out_max)
{
	bool std = false, url = false;
	size_t digits = 0, pads = 0, n = 0;
	unsigned v = 0;

	for (size_t i = 0; i < s.n; i++) {
		int d;

		if (s.p[i] == '\r' || s.p[i] == '\n')
			continue;
		if (s.p[i] == '=') {
			pads++;
			continue;
		}
		if (pads > 0 || (d = base64_digit(s.p[i], &std, &url)) < 0)
			return -1;
		v = v << 6 | (unsigned)d;
		/* every digit but the first of four completes a byte */
		if (digits++ % 4 != 0) {
			if (n == out_max)
				return -1;
			out[n++] =
			    (unsigned char)(v >> (6 - 2 * ((digits - 1) % 4)));
		}
	}
	if (digits % 4 == 1 || (std && url) ||
	    (std && alphabet == BASE64_URL) || (url && alphabet == BASE64_STD))
		return -1;
	if (pads > 0 && (padding == BASE64_RAW || pads != (4 - digits % 4) % 4))
		return -1;
	if (pads == 0 && padding == BASE64_PADDED && digits % 4 != 0)
		return -1;
	return (int)n;
}

int
base64_decode(struct str s, unsigned char *out, size_t out_max)
{
	return base64_decode_as(s, BASE64_EITHER, BASE64_ANY, out, out_max);
}
