/*
 * control/settle.c - backup policies and replications move on (room: control).
 * Source: EFS API, BackupPolicy, ReplicationConfigurationDescription; EFS User Guide, "Replicating file systems".
 *
 * No data is copied between file systems yet. A replication therefore ends in ERROR, which is EFS's word for one that
 * does not run, with a message that says so, and never has a LastReplicatedTimestamp.
 */
#include "control/settle.h"

#include "base/text.h"

bool settle_is_due(const struct catalog_fs *fs)
{
    return fs->backup == CATALOG_BACKUP_ENABLING || fs->backup == CATALOG_BACKUP_DISABLING ||
           fs->replication.status == CATALOG_REPLICATION_ENABLING ||
           fs->replication.status == CATALOG_REPLICATION_DELETING;
}

/* The system tag says the same as the policy (EFS User Guide, "Automatic backups"). */
static int settle_backup(struct catalog_fs *fs)
{
    int err = 0;
    if (fs->backup == CATALOG_BACKUP_ENABLING) {
        fs->backup = CATALOG_BACKUP_ENABLED;
        err = catalog_tags_set(&fs->tags, CATALOG_BACKUP_TAG, "enabled");
    } else if (fs->backup == CATALOG_BACKUP_DISABLING) {
        fs->backup = CATALOG_BACKUP_DISABLED;
        (void)catalog_tags_remove(&fs->tags, CATALOG_BACKUP_TAG); /* it may have none */
    }
    return err;
}

static bool is_available(const struct catalog *catalog, const char *fs_id)
{
    const struct catalog_fs *fs = catalog_fs_get(catalog, fs_id);
    bool available =
        fs != NULL && (fs->state == CATALOG_AVAILABLE || fs->state == CATALOG_UPDATING);
    catalog_fs_put(fs);
    return available;
}

static void settle_side(struct catalog_fs *fs)
{
    if (fs->replication.status == CATALOG_REPLICATION_ENABLING) {
        fs->replication.status = CATALOG_REPLICATION_ERROR;
    } else if (fs->replication.status == CATALOG_REPLICATION_DELETING) {
        if (fs->replication.is_destination) /* EFS: protected again when it becomes writeable */
            fs->overwrite_protected = true;
        fs->replication = (struct catalog_replication){ 0 };
    }
}

/* Both sides change together. */
static int settle_replication(struct catalog_change *change, struct catalog_fs *fs)
{
    const struct catalog *catalog = catalog_changing(change);
    char peer_id[CATALOG_ID_SIZE];
    memcpy(peer_id, fs->replication.peer_id, sizeof peer_id);
    bool enabling = fs->replication.status == CATALOG_REPLICATION_ENABLING;
    if (!enabling && fs->replication.status != CATALOG_REPLICATION_DELETING)
        return 0;
    if (enabling && (!is_available(catalog, fs->id) || !is_available(catalog, peer_id)))
        return 0; /* the destination is still made; its own step comes here again */
    struct catalog_fs *peer;
    int err = catalog_edit_fs(change, peer_id, &peer);
    if (err < 0 && err != -ENOENT)
        return err;
    if (err == 0)
        settle_side(peer);
    settle_side(fs);
    return 0;
}

static int settle_both(struct catalog_change *change, void *context)
{
    struct catalog_fs *fs;
    int err = catalog_edit_fs(change, context, &fs);
    if (err < 0)
        return err;
    err = settle_backup(fs);
    return err < 0 ? err : settle_replication(change, fs);
}

int settle_fs(struct catalog *catalog, const char *fs_id)
{
    char id[CATALOG_ID_SIZE];
    int err = text_copy(id, sizeof id, fs_id);
    if (err == 0)
        err = catalog_change(catalog, settle_both, id);
    return err == -ENOENT ? 0 : err; /* deleted meanwhile */
}
