/*
 * note.h
 *	  Notes: what a dump keeps of an asset or a pipeline besides its view.
 *
 * A view in vibepiper_def carries its note as its comment, a JSON object.
 * The note holds everything of the catalog row that the views don't say, so
 * that the row can be made again after a restore.
 */
#ifndef VP_NOTE_H
#define VP_NOTE_H

#include "postgres.h"

#include "catalog/asset.h"
#include "catalog/pipeline.h"

extern void vp_note_write_asset(const VpAsset *asset, const VpPipeline *pipeline);

/* The same where the query is the one that it was. */
extern void vp_note_rewrite_asset(VpAsset *asset, const VpPipeline *pipeline);
extern void vp_note_write_pipeline(const VpPipeline *pipeline);

/*
 * Read the note of a definition: sets options, environment, canonical and the
 * detached fields, and the name of the pipeline.  depends_on stays as text.
 * False if the view has no note; error (22023) if it has a damaged one.
 */
extern bool vp_note_read_asset(Oid def, VpAsset *asset, char **pipeline);

/*
 * The asset's name in the note, quoted and qualified; NULL: there is none.
 * Also, whether the query really is such as vp_is_dummy_query() says.
 */
extern char *vp_note_read_stub(Oid def, bool *dummy);

/*
 * The same for a pipeline's view: sets what the note has of all but id, view,
 * owner and schemas.
 */
extern bool vp_note_read_pipeline(Oid view, VpPipeline *pipeline);

#endif							/* VP_NOTE_H */
