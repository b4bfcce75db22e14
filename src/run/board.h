/*
 * board.h
 *	  The tasks of a parallel run as its processes share them.
 *
 * One dynamic shared memory segment per snapshot of a run.  The leader makes
 * it, pins it when it names it in the VpLiveRun; it is unpinned by whoever lets go
 * of the run last, or by the leader when it begins again.
 *
 * Who writes: the leader everything, but for a task that is assigned; what
 * comes of that is written by its worker until it says that it is done.
 * Handing over happens under vp_live_lock().  `log` only grows, and is read
 * without a lock.
 *
 * Texts are clipped and there is room for a limited amount; a text that finds
 * none is NULL.  The rows of vibepiper.task have them whole.
 */
#ifndef VP_BOARD_H
#define VP_BOARD_H

#include "postgres.h"

#include "port/atomics.h"
#include "storage/dsm.h"

#include "run/build.h"
#include "run/tasks.h"

typedef struct VpBoardTask
{
	/* the asset, and what is published of it */
	int32		asset_id;
	Oid			def;
	Oid			stub;
	uint32		name;			/* a text, as all these */
	int64		version_id;
	Oid			slot;
	int64		rows;
	VpHash		data_hash;
	int64		incarnation;
	bool		same_signature;

	/* what it reads: upstreams[first_up ...] of the board */
	int			first_up;
	int			nup;
	VpHash		input_hash;		/* what its readers read, once it is done */

	/* the task */
	VpTaskStatus status;
	int			attempts;
	uint32		reason;
	TimestampTz started_at;
	int64		task_rows;
	int64		bytes;
	int64		elapsed;
	int64		compute_elapsed;
	int64		index_elapsed;
	int64		analyze_elapsed;
	VpHash		code_hash;
	bool		stored;
	bool		misfit;			/* a source was rewritten */
	int			sqlerrcode;		/* 0: no error */
	uint32		message;
	uint32		detail;
	uint32		hint;

	/* the version it made; 0: none */
	int64		new_version;
	Oid			new_slot;
	Oid			new_file;
	VpHash		new_signature;
	VpHash		new_data_hash;
	int64		new_rows;
	int64		new_incarnation;
} VpBoardTask;

typedef struct VpBoard
{
	int64		run_id;
	int32		pipeline_id;
	TimestampTz as_of;
	uint64		tick;			/* of the rings, before the snapshot was taken */
	uint64		hash_seed;
	bool		consistent;
	bool		publish_each;
	pg_atomic_uint32 stopping;	/* no task may go on */

	int			n;				/* nodes */
	int			ntasks;			/* selected ones */
	pg_atomic_uint32 nlog;		/* tasks that were executed so far */
	Size		tasks;			/* offsets: VpBoardTask by node */
	Size		upstreams;		/* int: nodes */
	Size		order;			/* int: selected nodes, upstreams first */
	Size		log;			/* int: executed nodes, in order of their end */
	Size		snapshot;		/* serialized; 0: none */
	Size		texts;			/* from here ... */
	Size		size;			/* ... to here */
	pg_atomic_uint64 next_text;
} VpBoard;

/* A segment and where it is mapped. */
typedef struct VpBoardMap
{
	dsm_segment *segment;		/* NULL: not mapped */
	VpBoard    *board;
} VpBoardMap;

/* As the leader sees it; mapped until it is unmapped. */
extern VpBoardMap vp_board_create(const VpTasks *tasks, const VpBuild *build,
								  bool consistent);

/* Mapped until the resource owner ends (or, kept, until it is unmapped). */
extern VpBoardMap vp_board_map(dsm_handle handle, bool keep);
extern void vp_board_unmap(VpBoardMap *map);

extern VpBoardTask *vp_board_task(VpBoard *board, int node);
extern int	vp_board_order(const VpBoard *board, int k);
extern int	vp_board_logged(const VpBoard *board, int k);
extern void vp_board_log(VpBoard *board, int node);

/* NULL if there was no room for it. */
extern const char *vp_board_text(const VpBoard *board, uint32 text);
extern uint32 vp_board_put_text(VpBoard *board, const char *text);

/* Between a task of the board and the structs that the rest works with. */
extern VpBuildTarget vp_board_target(VpBoard *board, int node);
extern void vp_board_write_record(VpBoard *board, int node, const VpTaskRecord *record,
								  const VpVersion *version);
extern void vp_board_read_record(VpBoard *board, int node, VpTaskRecord *record);
extern VpVersion *vp_board_version(VpBoard *board, int node);	/* NULL: none */

#endif							/* VP_BOARD_H */
