"""The run folder: whose it is, before anything is written to it and again once it is locked."""

import pytest

from unrolled.errors import FolderError
from unrolled.files import write_folder
from unrolled.learn.run_folder import Run

MODEL = {"config.json": b"{}"}


def run_in(path, *, resume=False):
    return Run(path, resume=resume, notify=lambda message: None)


def test_a_folder_of_checkpoints_from_elsewhere_is_left_alone(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "model-best.ckpt").write_text("precious")
    with pytest.raises(FolderError, match=r"checkpoints/model-best\.ckpt"):
        run_in(tmp_path)


def test_an_empty_folder_of_checkpoints_makes_no_project_ours(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "README.md").write_text("of something else")
    with pytest.raises(FolderError, match=r"README\.md"):
        run_in(tmp_path)


def test_a_run_ended_before_its_first_checkpoint_is_begun_again(tmp_path):
    run_in(tmp_path).begin()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ".unrolled-half").mkdir()
    run_in(tmp_path).begin()
    assert not list((tmp_path / "checkpoints").iterdir())


def test_what_a_person_put_beside_the_checkpoints_stays(tmp_path):
    write_folder(tmp_path / "checkpoints" / "step-00000007", MODEL)
    (tmp_path / "checkpoints" / "notes.txt").write_text("keep the one of step 7")
    run = run_in(tmp_path, resume=True)
    run.begin()
    run.finish(MODEL)
    run.discard()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["notes.txt"]


def test_a_run_that_another_process_finished_meanwhile_is_not_overwritten(tmp_path):
    late = run_in(tmp_path / "run")
    first = run_in(tmp_path / "run")
    first.begin()
    first.finish(MODEL)
    first.discard()
    del first  # its lock with it
    with pytest.raises(FolderError, match="holds a finished run"):
        late.begin()


def test_a_run_that_another_process_began_and_left_meanwhile_is_not_begun_over(tmp_path):
    late = run_in(tmp_path / "run", resume=True)
    write_folder(tmp_path / "run" / "checkpoints" / "step-00000007", MODEL)
    with pytest.raises(FolderError, match="--resume"):
        late.begin()
