// crun for a current containerd: Debian's crun 1.8 refuses a config.json whose ociVersion is above
// 1.0.2. Before "create" this program writes that version into it, and then it executes crun.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CRUN "/usr/bin/crun"

static int set_version(const char *bundle)
{
	static const char key[] = "{\"ociVersion\":\"1.";
	char path[4096], text[sizeof key + 3];
	int fd, done;

	snprintf(path, sizeof path, "%s/config.json", bundle);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	// containerd writes the version first, with one digit for each part.
	done = read(fd, text, sizeof text) == sizeof text && memcmp(text, key, sizeof key - 1) == 0 &&
	       text[sizeof text - 1] == '"' && pwrite(fd, "0.2", 3, sizeof key - 1) == 3;
	close(fd);
	return done ? 0 : -1;
}

int main(int argc, char **argv)
{
	const char *bundle = NULL;
	int i, create = 0;

	for (i = 1; i < argc; i++) {
		create |= strcmp(argv[i], "create") == 0;
		if (strcmp(argv[i], "--bundle") == 0 && i + 1 < argc)
			bundle = argv[i + 1];
	}
	if (create && bundle && set_version(bundle)) {
		fprintf(stderr, "crun: ociVersion is not where containerd writes it\n");
		return 1;
	}
	argv[0] = CRUN;
	execv(CRUN, argv);
	perror(CRUN);
	return 1;
}
