"""Directories, links, special files, attributes and permissions on a mount."""

import pytest


@pytest.mark.parametrize("scenario", ["odd_names", "symbolic_links", "special_files", "directories",
                                      "modes_and_times"])
def test_names_behave_as_on_a_local_file_system(client, work, scenario):
    client.call(f"names.{scenario}", work)


def test_paths_may_be_deep(client, work):
    client.call("names.deep_path", work, depth=200)


def test_hard_links_are_one_file(client, work):
    client.call("names.hard_links", work, count=100)


def test_a_directory_of_20000_entries_lists_exactly(client, other_client, export, work):
    """While another client creates and removes other names in it."""
    client.call("names.fill_directory", work, count=20000)
    with other_client.mounted(export, "churn") as mount:
        with other_client.session() as session:
            session.start("names.churn", f"{mount}/{work.rpartition('/')[2]}", seconds=6, seed=1)
            client.call("names.list_exactly", work, count=20000, rounds=5)
            assert session.result() > 100
    client.call("names.list_exactly", work, count=20000, rounds=1)
    client.call("names.remove_while_listing", work)


def test_a_storm_of_renames_and_unlinks_loses_nothing(client, work):
    client.call("names.storm", work, processes=8, operations=400, seed=20)


def test_a_file_renamed_by_many_exists_once(client, work):
    client.call("names.rename_race", work, processes=6, rounds=200)


@pytest.mark.parametrize("scenario", ["permissions", "set_id_bits", "file_without_permission_stays_open"])
def test_other_users_are_held_to_the_mode_bits(client, work, scenario):
    client.call(f"identity.{scenario}", work)
