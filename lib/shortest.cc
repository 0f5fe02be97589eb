// The shortest decimal of a double.  Debian's double-conversion finds the
// digits; where the point goes, and when an exponent is written, is decided
// here, since its own rule differs from the reference's in the exponent.

#include <cstring>

#include <double-conversion/double-conversion.h>

extern "C" {
#include "json_out.h"
}

namespace {

const int max_digits = 17; // enough for every double

// Exponent form: d.ddde-7, d.ddde+21.
size_t
with_exponent(char *out, const char *digits, int length, int exponent)
{
	char *p = out;

	*p++ = digits[0];
	if (length > 1) {
		*p++ = '.';
		memcpy(p, digits + 1, size_t(length - 1));
		p += length - 1;
	}
	*p++ = 'e';
	*p++ = exponent < 0 ? '-' : '+';
	if (exponent < 0)
		exponent = -exponent;
	if (exponent >= 100)
		*p++ = char('0' + exponent / 100);
	if (exponent >= 10)
		*p++ = char('0' + exponent / 10 % 10);
	*p++ = char('0' + exponent % 10);
	return size_t(p - out);
}

// Plain form; the point stands before digits[point].
size_t
plain(char *out, const char *digits, int length, int point)
{
	char *p = out;

	if (point <= 0) {
		*p++ = '0';
		*p++ = '.';
		memset(p, '0', size_t(-point));
		p += -point;
		memcpy(p, digits, size_t(length));
		p += length;
	} else if (point >= length) {
		memcpy(p, digits, size_t(length));
		p += length;
		memset(p, '0', size_t(point - length));
		p += point - length;
	} else {
		memcpy(p, digits, size_t(point));
		p += point;
		*p++ = '.';
		memcpy(p, digits + point, size_t(length - point));
		p += length - point;
	}
	return size_t(p - out);
}

} // namespace

extern "C" size_t
double_text(double v, char out[32])
{
	using double_conversion::DoubleToStringConverter;
	char digits[max_digits + 1];
	bool minus;
	int length, point;
	size_t n = 0;

	DoubleToStringConverter::DoubleToAscii(v,
	    DoubleToStringConverter::SHORTEST, 0, digits, sizeof digits, &minus,
	    &length, &point);
	if (minus)
		out[n++] = '-';
	if (v != 0 && (point < -5 || point > 21))
		n += with_exponent(out + n, digits, length, point - 1);
	else
		n += plain(out + n, digits, length, point);
	out[n] = '\0';
	return n;
}
