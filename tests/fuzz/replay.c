/*
 * Feeds files to a fuzz target without libFuzzer: the corpus as a test.
 * usage: TARGET FILE|DIRECTORY ...
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned inputs;

static int
feed_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	struct stat st;
	size_t size;
	int rc = -1;

	if (f == NULL || fstat(fileno(f), &st) == -1)
		goto out;
	size = (size_t)st.st_size;
	/* exactly as large as the input, so that a sanitizer sees each overrun
	 */
	data = malloc(size == 0 ? 1 : size);
	if (data == NULL || fread(data, 1, size, f) != size)
		goto out;
	LLVMFuzzerTestOneInput(data, size);
	inputs++;
	rc = 0;
out:
	if (rc != 0)
		perror(path);
	free(data);
	if (f != NULL)
		fclose(f);
	return rc;
}

static int
feed(const char *path)
{
	struct dirent *entry;
	char child[4096];
	DIR *dir = opendir(path);
	int rc = 0;

	if (dir == NULL)
		return feed_file(path);
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
		rc |= feed(child);
	}
	closedir(dir);
	return rc;
}

int
main(int argc, char **argv)
{
	int rc = 0;

	for (int i = 1; i < argc; i++)
		rc |= feed(argv[i]);
	printf("%u inputs\n", inputs);
	return rc != 0 || inputs == 0;
}
