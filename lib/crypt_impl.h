/*
 * What the files lib/crypt*.c share and nobody else needs.
 */
#ifndef CRYPT_IMPL_H
#define CRYPT_IMPL_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "crypt.h"

struct crypt_algorithms {
	EVP_MD *sha256;
	EVP_MAC *hmac;
	EVP_KDF *hkdf, *pbkdf2;
	EVP_CIPHER *aes_256_gcm;
};

/*
 * The algorithms, fetched at the first call and kept for good.  An OpenSSL
 * that lacks one of them is a broken installation: the process aborts.
 */
const struct crypt_algorithms *crypt_algorithms(void);

/* Abort: OpenSSL failed where only a broken one or no memory can. */
_Noreturn void crypt_broken(const char *what);

/* HKDF-SHA256 with our salt, 32 bytes out. */
void crypt_hkdf(const void *ikm, size_t n, const char *info,
    unsigned char out[DATA_KEY_BYTES]);

/* One exact form of base64, as the reference's decoders draw the lines. */
enum base64_alphabet { BASE64_STD, BASE64_URL, BASE64_EITHER };
enum base64_padding { BASE64_RAW, BASE64_PADDED, BASE64_ANY };
int base64_decode_as(struct str s, enum base64_alphabet alphabet,
    enum base64_padding padding, unsigned char *out, size_t out_max);

#endif
