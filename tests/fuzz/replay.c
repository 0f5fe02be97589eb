/*
 * Feeds a fuzz target the files that are named, and all files of directories
 * that are: a corpus becomes a test in builds without libFuzzer.
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FILE_MAX (16 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned replayed;

static int
replay_file(const char *path)
{
	uint8_t *data = malloc(FILE_MAX);
	FILE *f = fopen(path, "rbe");
	size_t n;
	int rc = -1;

	if (data == NULL || f == NULL)
		goto out;
	n = fread(data, 1, FILE_MAX, f);
	if (ferror(f))
		goto out;
	/* its size exactly, so that a sanitizer sees every step beyond */
	data = realloc(data, n > 0 ? n : 1);
	(void)LLVMFuzzerTestOneInput(data, n);
	replayed++;
	rc = 0;
out:
	if (rc != 0)
		perror(path);
	if (f != NULL)
		(void)fclose(f);
	free(data);
	return rc;
}

static int
replay_directory(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	int rc = 0;

	if (d == NULL) {
		perror(path);
		return -1;
	}
	while (rc == 0 && (entry = readdir(d)) != NULL) {
		char file[PATH_MAX];
		int n =
		    snprintf(file, sizeof file, "%s/%s", path, entry->d_name);

		if (entry->d_name[0] != '.' && n > 0 && n < PATH_MAX)
			rc = replay_file(file);
	}
	(void)closedir(d);
	return rc;
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) != 0) {
			perror(argv[i]);
			return 1;
		}
		if ((S_ISDIR(st.st_mode) ? replay_directory(argv[i]) :
					   replay_file(argv[i])) != 0)
			return 1;
	}
	printf("%u inputs replayed\n", replayed);
	return replayed > 0 ? 0 : 1;
}
