/*
 * board.c
 *	  The tasks of a parallel run as its processes share them.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/snapmgr.h"

#include "run/board.h"

#define LONGEST_TEXT 2048
#define TEXT_ROOM_PER_TASK 256
#define TEXT_ROOM 65536

static inline void *
at(const VpBoard *board, Size offset)
{
	return (char *) board + offset;
}

VpBoardTask *
vp_board_task(VpBoard *board, int node)
{
	Assert(node >= 0 && node < board->n);
	return (VpBoardTask *) at(board, board->tasks) + node;
}

int
vp_board_order(const VpBoard *board, int k)
{
	return ((int *) at(board, board->order))[k];
}

int
vp_board_logged(const VpBoard *board, int k)
{
	return ((int *) at(board, board->log))[k];
}

void
vp_board_log(VpBoard *board, int node)
{
	uint32		n = pg_atomic_read_u32(&board->nlog);

	((int *) at(board, board->log))[n] = node;
	pg_write_barrier();
	pg_atomic_write_u32(&board->nlog, n + 1);
}

const char *
vp_board_text(const VpBoard *board, uint32 text)
{
	return text == 0 ? NULL : at(board, board->texts + text);
}

uint32
vp_board_put_text(VpBoard *board, const char *text)
{
	int			length;
	uint64		place;
	char	   *copy;

	if (text == NULL)
		return 0;
	length = pg_mbcliplen(text, strlen(text), LONGEST_TEXT);
	place = pg_atomic_fetch_add_u64(&board->next_text, length + 1);
	if (board->texts + place + length + 1 > board->size)
		return 0;
	copy = at(board, board->texts + place);
	memcpy(copy, text, length);
	copy[length] = '\0';
	return (uint32) place;
}

/* Lay it out behind its header; returns the size. */
static Size
lay_out(VpBoard *board, const VpTasks *tasks, Size snapshot_size)
{
	const VpState *state = tasks->state;
	Size		nups = 0;
	Size		names = 0;
	Size		at = MAXALIGN(sizeof(VpBoard));

	for (int i = 0; i < state->ntotal; i++)
	{
		nups += state->graph->nodes[i].nup;
		names += strlen(state->graph->nodes[i].display) + 1;
	}
	board->n = state->ntotal;
	board->ntasks = tasks->result->ntasks;
	board->tasks = at;
	at += MAXALIGN(sizeof(VpBoardTask) * state->ntotal);
	board->upstreams = at;
	at += MAXALIGN(sizeof(int) * nups);
	board->order = at;
	at += MAXALIGN(sizeof(int) * board->ntasks);
	board->log = at;
	at += MAXALIGN(sizeof(int) * board->ntasks);
	board->snapshot = snapshot_size == 0 ? 0 : at;
	at += MAXALIGN(snapshot_size);
	board->texts = at;
	board->size = at + names + TEXT_ROOM + TEXT_ROOM_PER_TASK * (Size) board->ntasks;
	return board->size;
}

static void
fill_task(VpBoard *board, const VpTasks *tasks, int i, int first_up)
{
	const VpNode *node = &tasks->state->nodes[i];
	const VpGraphNode *graph_node = &tasks->state->graph->nodes[i];
	VpBoardTask *task = vp_board_task(board, i);

	memset(task, 0, sizeof(*task));
	task->asset_id = node->id;
	task->def = node->def;
	task->stub = node->stub;
	task->name = vp_board_put_text(board, graph_node->display);
	task->version_id = node->version_id;
	task->slot = node->slot;
	task->rows = node->rows;
	task->data_hash = node->data_hash;
	task->incarnation = node->incarnation;
	task->same_signature = node->same_signature;
	task->input_hash = node->input_hash;
	task->first_up = first_up;
	task->nup = graph_node->nup;
	memcpy((int *) at(board, board->upstreams) + first_up, graph_node->up,
		   sizeof(int) * graph_node->nup);
	if (tasks->task_of[i] != NULL)
		vp_board_write_record(board, i, tasks->task_of[i], NULL);
}

static void
fill(VpBoard *board, const VpTasks *tasks, const VpBuild *build)
{
	const VpState *state = tasks->state;
	int		   *order = at(board, board->order);
	int			nups = 0;

	board->run_id = build->run_id;
	board->pipeline_id = state->pipeline->id;
	board->as_of = build->as_of;
	board->tick = build->instant->tick;
	board->hash_seed = build->hash_seed;
	board->publish_each = vp_tasks_publishes_each(tasks);
	pg_atomic_init_u32(&board->stopping, 0);
	pg_atomic_init_u32(&board->nlog, 0);
	pg_atomic_init_u64(&board->next_text, 1);
	for (int i = 0; i < state->ntotal; i++)
	{
		fill_task(board, tasks, i, nups);
		nups += state->graph->nodes[i].nup;
	}
	for (int k = 0; k < state->ntotal; k++)
		if (tasks->task_of[state->order[k]] != NULL)
			*order++ = state->order[k];
}

VpBoardMap
vp_board_create(const VpTasks *tasks, const VpBuild *build, bool consistent)
{
	VpBoard		layout = {0};
	VpBoardMap	map;

	map.segment = dsm_create(lay_out(&layout, tasks, consistent ?
									 EstimateSnapshotSpace(build->snapshot) : 0), 0);
	dsm_pin_mapping(map.segment);
	map.board = dsm_segment_address(map.segment);
	*map.board = layout;
	map.board->consistent = consistent;
	fill(map.board, tasks, build);
	if (consistent)
		SerializeSnapshot(build->snapshot, at(map.board, map.board->snapshot));
	return map;
}

VpBoardMap
vp_board_map(dsm_handle handle, bool keep)
{
	VpBoardMap	map = {0};

	if (handle == DSM_HANDLE_INVALID)
		return map;
	map.segment = dsm_attach(handle);
	if (map.segment == NULL)
		return map;
	if (keep)
		dsm_pin_mapping(map.segment);
	map.board = dsm_segment_address(map.segment);
	return map;
}

void
vp_board_unmap(VpBoardMap *map)
{
	if (map->segment != NULL)
		dsm_detach(map->segment);
	map->segment = NULL;
	map->board = NULL;
}

VpBuildTarget
vp_board_target(VpBoard *board, int node)
{
	const VpBoardTask *task = vp_board_task(board, node);
	const int  *ups = (int *) at(board, board->upstreams) + task->first_up;
	VpBuildTarget target = {
		.asset_id = task->asset_id,
		.def = task->def,
		.stub = task->stub,
		.display = vp_board_text(board, task->name),
		.version_id = task->version_id,
		.slot = task->slot,
		.rows = task->rows,
		.data_hash = task->data_hash,
		.incarnation = task->incarnation,
		.same_signature = task->same_signature
	};

	for (int u = 0; u < task->nup; u++)
	{
		VpBoardTask *up = vp_board_task(board, ups[u]);

		target.upstreams = lappend_int(target.upstreams, up->asset_id);
		target.upstream_hashes = lappend(target.upstream_hashes, &up->input_hash);
	}
	return target;
}

void
vp_board_write_record(VpBoard *board, int node, const VpTaskRecord *record,
					  const VpVersion *version)
{
	VpBoardTask *task = vp_board_task(board, node);

	task->status = record->status;
	task->attempts = record->attempts;
	task->started_at = record->started_at;
	task->task_rows = record->rows;
	task->bytes = record->bytes;
	task->elapsed = record->elapsed;
	task->compute_elapsed = record->compute_elapsed;
	task->index_elapsed = record->index_elapsed;
	task->analyze_elapsed = record->analyze_elapsed;
	task->code_hash = record->code_hash;
	task->stored = record->stored;
	if (record->error != NULL)
	{
		task->sqlerrcode = record->error->sqlerrcode;
		task->message = vp_board_put_text(board, record->error->message);
		task->detail = vp_board_put_text(board, record->error->detail);
		task->hint = vp_board_put_text(board, record->error->hint);
	}
	else
		task->sqlerrcode = 0;
	task->new_version = version == NULL ? 0 : version->id;
	if (version == NULL)
		return;
	task->new_slot = version->slot;
	task->new_file = version->filenode;
	task->new_signature = version->signature;
	task->new_data_hash = version->data_hash;
	task->new_rows = version->rows;
	task->new_incarnation = version->incarnation;
}

static char *
copy_text(const VpBoard *board, uint32 text)
{
	return text == 0 ? NULL : pstrdup(vp_board_text(board, text));
}

static ErrorData *
error_of(const VpBoard *board, const VpBoardTask *task)
{
	ErrorData  *error = palloc0(sizeof(ErrorData));

	error->elevel = ERROR;
	error->sqlerrcode = task->sqlerrcode;
	error->message = copy_text(board, task->message);
	if (error->message == NULL)
		error->message = "see vibepiper.tasks";
	error->detail = copy_text(board, task->detail);
	error->hint = copy_text(board, task->hint);
	return error;
}

void
vp_board_read_record(VpBoard *board, int node, VpTaskRecord *record)
{
	const VpBoardTask *task = vp_board_task(board, node);

	memset(record, 0, sizeof(*record));
	record->run_id = board->run_id;
	record->asset_id = task->asset_id;
	record->asset = copy_text(board, task->name);
	record->status = task->status;
	record->reason = copy_text(board, task->reason);
	record->rows = task->task_rows;
	record->bytes = task->bytes;
	record->started_at = task->started_at;
	record->elapsed = task->elapsed;
	record->compute_elapsed = task->compute_elapsed;
	record->index_elapsed = task->index_elapsed;
	record->analyze_elapsed = task->analyze_elapsed;
	record->version_id = task->new_version;
	record->code_hash = task->code_hash;
	record->attempts = task->attempts;
	record->stored = task->stored;
	if (task->sqlerrcode != 0)
		record->error = error_of(board, task);
}

VpVersion *
vp_board_version(VpBoard *board, int node)
{
	const VpBoardTask *task = vp_board_task(board, node);
	VpVersion  *version;

	if (task->new_version == 0)
		return NULL;
	version = palloc0(sizeof(VpVersion));
	version->id = task->new_version;
	version->asset_id = task->asset_id;
	version->slot = task->new_slot;
	version->filenode = task->new_file;
	version->signature = task->new_signature;
	version->data_hash = task->new_data_hash;
	version->rows = task->new_rows;
	version->incarnation = task->new_incarnation;
	return version;
}
