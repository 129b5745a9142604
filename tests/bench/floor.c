//go:build ignore

// The floor of the comparison: the kernel's share of running the default bundle.
//
//	floor ROOTFS
//
// It makes the namespaces and mounts of the default bundle, changes into the root file system,
// runs /bin/true and waits for it. It reads no configuration, keeps no state, makes no cgroup and
// drops no privilege, so a runtime can approach its time but cannot reach it.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUPS "/sys/fs/cgroup"

struct mountpoint {
	const char *type, *target, *data;
	unsigned long flags;
};

// In the order of the default bundle; targets are relative to the root file system.
static const struct mountpoint mounts[] = {
	{"proc", "proc", NULL, 0},
	{"tmpfs", "dev", "mode=755,size=65536k", MS_NOSUID | MS_STRICTATIME},
	{"devpts", "dev/pts", "newinstance,ptmxmode=0666,mode=0620,gid=5", MS_NOSUID | MS_NOEXEC},
	{"tmpfs", "dev/shm", "mode=1777,size=65536k", MS_NOSUID | MS_NOEXEC | MS_NODEV},
	{"mqueue", "dev/mqueue", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV},
	{"sysfs", "sys", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY},
};

static const unsigned long cgroup_flags = MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RELATIME;

static void check(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		_exit(1);
	}
}

static void make_directory(const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		check(-1, path);
}

static int cgroups_are_v2(void)
{
	struct statfs fs;

	check(statfs(CGROUPS, &fs), CGROUPS);
	return fs.f_type == CGROUP2_SUPER_MAGIC;
}

// A v1 cgroup mount is a tmpfs with one read-only bind mount for each hierarchy.
static void mount_cgroup_v1(void)
{
	char source[sizeof(CGROUPS) + 1 + sizeof(((struct dirent *)0)->d_name)];
	struct dirent *entry;
	DIR *dir;

	check(mount("cgroup", CGROUPS + 1, "tmpfs", cgroup_flags, "mode=755"), "mount cgroup tmpfs");
	check((dir = opendir(CGROUPS)) ? 0 : -1, CGROUPS);
	while ((entry = readdir(dir))) {
		// Symbolic links name a hierarchy that is there under another name too.
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		snprintf(source, sizeof(source), CGROUPS "/%s", entry->d_name);
		make_directory(source + 1);
		check(mount(source, source + 1, NULL, MS_BIND, NULL), source);
		check(mount(NULL, source + 1, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | cgroup_flags, NULL), source);
	}
	closedir(dir);
	check(mount(NULL, CGROUPS + 1, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | cgroup_flags, NULL),
	      "remount cgroup tmpfs");
}

static void mount_all(int v2)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		const struct mountpoint *m = &mounts[i];

		make_directory(m->target);
		check(mount(m->type, m->target, m->type, m->flags, m->data), m->target);
	}
	if (v2)
		check(mount("cgroup", CGROUPS + 1, "cgroup2", cgroup_flags | MS_RDONLY, NULL), "mount cgroup2");
	else
		mount_cgroup_v1();
}

static void run(const char *rootfs, int v2)
{
	char *argv[] = {"/bin/true", NULL}, *envp[] = {NULL};

	check(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "make / a slave");
	check(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL), rootfs);
	check(chdir(rootfs), rootfs);
	mount_all(v2);
	// The old root ends up over the new one, see pivot_root(2), "pivot_root(".", ".")".
	check(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	check(umount2(".", MNT_DETACH), "unmount the old root");
	check(chdir("/"), "chdir /");
	check(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), "make / read-only");
	check(execve(argv[0], argv, envp), argv[0]);
}

int main(int argc, char **argv)
{
	unsigned long flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS;
	int status, v2 = cgroups_are_v2();
	pid_t pid;

	if (argc != 2) {
		fprintf(stderr, "usage: floor ROOTFS\n");
		return 2;
	}
	if (v2)
		flags |= CLONE_NEWCGROUP;
	pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, 0);
	check(pid, "clone");
	if (pid == 0)
		run(argv[1], v2);
	check(waitpid(pid, &status, 0), "wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
