/* SPDX-License-Identifier: MIT */

/*
 * This process, as the kernel sees it.  What cannot be read (no /proc) is
 * left out.
 */

#include "admin/process.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define LINE_BYTES 1024

/* In /proc/self/stat, counted from the field after the command. */
#define START_TIME_FIELD 19

/* Reads the first bytes of a file as a string. */
static bool
read_text(const char *path, char text[LINE_BYTES])
{
	FILE *file = fopen(path, "re");
	size_t length;

	if (file == NULL)
		return false;
	length = fread(text, 1, LINE_BYTES - 1, file);
	fclose(file);
	text[length] = '\0';
	return length > 0;
}

static void
put_cpu(struct exposition *exposition)
{
	struct rusage usage;
	double seconds;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return;
	seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	exposition_counter(exposition, "process_cpu_seconds_total",
	    "User and system CPU time spent.");
	exposition_real(exposition, "process_cpu_seconds_total", seconds);
}

static void
put_memory(struct exposition *exposition)
{
	static const char name[] = "process_resident_memory_bytes";
	char text[LINE_BYTES];
	char *end;
	unsigned long pages;

	if (!read_text("/proc/self/statm", text))
		return;
	strtoul(text, &end, 10);
	pages = strtoul(end, NULL, 10);
	exposition_gauge(exposition, name, "Resident memory.");
	exposition_count(exposition, name, "",
	    (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE));
}

static void
put_fds(struct exposition *exposition)
{
	DIR *dir = opendir("/proc/self/fd");
	struct rlimit limit;
	uint64_t open = 0;

	if (dir != NULL) {
		for (struct dirent *entry = readdir(dir); entry != NULL;
		     entry = readdir(dir))
			open += entry->d_name[0] != '.';
		closedir(dir);
		open--; /* the directory's own */
		exposition_gauge(
		    exposition, "process_open_fds", "Open file descriptors.");
		exposition_count(exposition, "process_open_fds", "", open);
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
	    limit.rlim_cur == RLIM_INFINITY)
		return;
	exposition_gauge(
	    exposition, "process_max_fds", "Limit of open file descriptors.");
	exposition_count(exposition, "process_max_fds", "", limit.rlim_cur);
}

/* Reads when the system was booted, in seconds since 1970. */
static bool
read_boot_time(double *seconds)
{
	FILE *file = fopen("/proc/stat", "re");
	char *line = NULL;
	size_t size = 0;
	bool is_found = false;

	if (file == NULL)
		return false;
	while (!is_found && getline(&line, &size, file) > 0)
		is_found = sscanf(line, "btime %lf", seconds) == 1;
	free(line);
	fclose(file);
	return is_found;
}

static void
put_start_time(struct exposition *exposition)
{
	static const char name[] = "process_start_time_seconds";
	char text[LINE_BYTES];
	char *field;
	double boot;

	if (!read_text("/proc/self/stat", text) || !read_boot_time(&boot))
		return;
	/* The command is in parentheses and may hold any byte. */
	field = strrchr(text, ')');
	for (int i = 0; field != NULL && i <= START_TIME_FIELD; i++)
		field = strchr(field + 1, ' ');
	if (field == NULL)
		return;
	exposition_gauge(exposition, name,
	    "When the process started, in seconds since 1970.");
	exposition_real(exposition, name,
	    boot + strtod(field, NULL) / (double)sysconf(_SC_CLK_TCK));
}

void
process_put(struct exposition *exposition)
{
	put_cpu(exposition);
	put_memory(exposition);
	put_fds(exposition);
	put_start_time(exposition);
}
