/*
 * carry.c
 *	  Bytes of shared memory that outlive a clean shutdown of the server.
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "common/carry.h"

/* What the file begins with. */
typedef struct CarryHeader
{
	uint64		system;
	uint64		checkpoint;
	uint64		next_xid;
	uint32		timeline;
	uint32		server_version;
	uint64		size;
	pg_crc32c	crc;			/* of the bytes */
} CarryHeader;

/* Of the server as it was shut down; false: it wasn't, or not cleanly. */
static bool
describe_shutdown(CarryHeader *header)
{
	bool		crc_ok;
	ControlFileData *control = get_controlfile(DataDir, &crc_ok);
	bool		clean = crc_ok && control->state == DB_SHUTDOWNED;

	memset(header, 0, sizeof(*header));
	header->system = control->system_identifier;
	header->checkpoint = control->checkPoint;
	header->next_xid = U64FromFullTransactionId(control->checkPointCopy.nextXid);
	header->timeline = control->checkPointCopy.ThisTimeLineID;
	header->server_version = PG_CONTROL_VERSION;
	pfree(control);
	return clean;
}

static pg_crc32c
crc_of(const void *bytes, Size size)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, bytes, size);
	FIN_CRC32C(crc);
	return crc;
}

void
vp_carry_save(const char *path, const void *bytes, Size size)
{
	CarryHeader header;
	FILE	   *file;
	bool		written;

	if (!describe_shutdown(&header))
		return;
	header.size = size;
	header.crc = crc_of(bytes, size);
	file = AllocateFile(path, PG_BINARY_W);
	if (file == NULL)
	{
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", path)));
		return;
	}
	written = fwrite(&header, sizeof(header), 1, file) == 1 &&
		fwrite(bytes, size, 1, file) == 1;
	if (FreeFile(file) != 0 || !written)
	{
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", path)));
		(void) unlink(path);
	}
}

static bool
is_to_be_recovered(void)
{
	struct stat st;

	return stat(RECOVERY_SIGNAL_FILE, &st) == 0 || stat(STANDBY_SIGNAL_FILE, &st) == 0 ||
		stat(BACKUP_LABEL_FILE, &st) == 0;
}

static void *
read_bytes(FILE *file, Size *size)
{
	CarryHeader now;
	CarryHeader then;
	void	   *bytes;

	if (!describe_shutdown(&now) || is_to_be_recovered() ||
		fread(&then, sizeof(then), 1, file) != 1 ||
		then.system != now.system || then.checkpoint != now.checkpoint ||
		then.next_xid != now.next_xid || then.timeline != now.timeline ||
		then.server_version != now.server_version || then.size > MaxAllocHugeSize)
		return NULL;
	bytes = palloc_extended(Max(then.size, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	if (bytes == NULL)
		return NULL;
	if (fread(bytes, then.size, 1, file) != 1 || crc_of(bytes, then.size) != then.crc)
	{
		pfree(bytes);
		return NULL;
	}
	*size = then.size;
	return bytes;
}

void *
vp_carry_load(const char *path, Size *size)
{
	FILE	   *file = AllocateFile(path, PG_BINARY_R);
	void	   *bytes;

	if (file == NULL)
		return NULL;
	bytes = read_bytes(file, size);
	FreeFile(file);
	if (unlink(path) != 0)
		ereport(PANIC,
				(errcode_for_file_access(),
				 errmsg("could not remove file \"%s\": %m", path)));
	return bytes;
}
