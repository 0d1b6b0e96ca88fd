import dataclasses
from dataclasses import dataclass, field

import pytest

from daguan.core.errors import ConfigError
from daguan.core.settings import Changes, build, load, require, to_dict, vary


@dataclass(frozen=True)
class Optim:
    lr: float = 0.1
    weight_decay: float = 0.01
    steps: int = 10

    def __post_init__(self):
        require("steps", self.steps >= 1, "at least 1", self.steps)


@dataclass(frozen=True)
class Job:
    name: str = "job"
    resume: bool = False
    labels: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (1, 2)
    optim: Optim = field(default_factory=Optim)


@dataclass(frozen=True)
class Jobs:
    some: dict[str, Changes[Job]] = field(default_factory=dict)


def from_words(*words):
    return load(Job, None, words)


def from_yaml(folder, text, *words, kind=Job):
    path = folder / "job.yaml"
    path.write_text(text, encoding="utf-8")
    return load(kind, path, words)


def message_of(function, *arguments):
    with pytest.raises(ConfigError) as error:
        function(*arguments)
    return str(error.value)


def test_command_line_beats_yaml_beats_defaults(tmp_path):
    job = from_yaml(tmp_path, "name: yaml\noptim:\n  lr: 0.5\n  steps: 20\n", "optim.lr=0.7", "resume=true")
    assert job == Job(name="yaml", resume=True, optim=Optim(lr=0.7, steps=20))


def test_the_last_word_on_the_command_line_holds():
    assert from_words("name=one", "name=two").name == "two"


def test_nothing_said_is_all_defaults(tmp_path):
    assert from_words() == Job()
    assert from_yaml(tmp_path, "") == Job()
    assert from_yaml(tmp_path, "# only a remark\n") == Job()


def test_settings_survive_to_dict_and_build():
    job = Job("x", True, ("a", "b"), (3,), Optim(1e-5, 0.0, 7))
    assert build(Job, to_dict(job)) == job


@pytest.mark.parametrize(
    ("word", "value"),
    [("3e-5", 3e-5), ("3.0e-5", 3e-5), ("'3e-5'", 3e-5), ("1", 1.0), ("0", 0.0), ("-2.5", -2.5)],
)
def test_a_float_field_takes_what_yaml_reads_as_text(word, value):
    lr = from_words(f"optim.lr={word}").optim.lr
    assert lr == value
    assert isinstance(lr, float)


@pytest.mark.parametrize(("word", "value"), [("20", 20), ("2e1", 20), ("20.0", 20), ("1e3", 1000)])
def test_an_int_field_takes_whole_numbers(word, value):
    steps = from_words(f"optim.steps={word}").optim.steps
    assert steps == value
    assert isinstance(steps, int)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("optim.lr=fast", "optim.lr: expected float, got 'fast'"),
        ("optim.lr=true", "optim.lr: expected float, got True"),
        ("optim.lr=", "optim.lr: expected float, got None"),
        ("optim.lr=[1]", "optim.lr: expected float, got [1]"),
        ("optim.lr=.nan", "optim.lr: expected float, got nan"),
        ("optim.lr=.inf", "optim.lr: expected float, got inf"),
        ("optim.steps=2.5", "optim.steps: expected int, got 2.5"),
        ("optim.steps=two", "optim.steps: expected int, got 'two'"),
        ("optim.steps=true", "optim.steps: expected int, got True"),
        ("optim.steps=.nan", "optim.steps: expected int, got nan"),
        ("optim.steps=.inf", "optim.steps: expected int, got inf"),
        ("resume=1", "resume: expected bool, got 1"),
        ("resume=0", "resume: expected bool, got 0"),
        ("resume='true'", "resume: expected bool, got 'true'"),
        ("resume=", "resume: expected bool, got None"),
        ("sizes=1,x", "sizes: expected int, got 'x'"),
        ("sizes=[1, null]", "sizes: expected int, got None"),
        ("sizes.x=1", "sizes: expected "),
        ("labels.x=1", "labels: expected "),
        ("optim.steps=0", "optim.steps: expected at least 1, got 0"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(word, expected):
    assert message_of(from_words, word).startswith(f"command line: {expected}")


@pytest.mark.parametrize("word", ["name=2020-13-45", "optim.lr=2020-13-45"])
def test_a_word_that_only_looks_like_a_date_is_text(word):
    """PyYAML raises ValueError, not YAMLError, for the 45th of the 13th month."""
    if word.startswith("name"):
        assert from_words(word).name == "2020-13-45"
    else:
        assert message_of(from_words, word) == "command line: optim.lr: expected float, got '2020-13-45'"


@pytest.mark.parametrize(
    ("word", "sizes"),
    [("3,4", (3, 4)), ("3", (3,)), ("[3, 4]", (3, 4)), ("[]", ()), ("", ())],
)
def test_a_tuple_is_a_list_or_words_between_commas(word, sizes):
    assert from_words(f"sizes={word}").sizes == sizes


def test_a_tuple_of_texts():
    assert from_words("labels=a,b").labels == ("a", "b")
    assert from_words("labels=[a, b]").labels == ("a", "b")


def test_a_blank_after_the_comma_is_no_part_of_the_text():
    assert from_words("labels=a, b").labels == ("a", "b")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("nmae=x", "nmae: no such setting; did you mean 'name'?"),
        ("optim.weight_deacy=0", "optim.weight_deacy: no such setting; did you mean 'weight_decay'?"),
        ("optim.zzz=0", "optim.zzz: no such setting; known: lr, weight_decay, steps"),
        ("optin.lr=0", "optin: no such setting; did you mean 'optim'?"),
    ],
)
def test_an_unknown_setting_is_refused_with_a_suggestion(word, expected):
    assert message_of(from_words, word) == f"command line: {expected}"


def test_an_unknown_setting_in_a_file_names_the_file(tmp_path):
    message = message_of(from_yaml, tmp_path, "optim:\n  weight_deacy: 0\n")
    assert message == f"{tmp_path}/job.yaml: optim.weight_deacy: no such setting; did you mean 'weight_decay'?"


def test_a_fault_on_the_command_line_is_not_blamed_on_the_file(tmp_path):
    message = message_of(from_yaml, tmp_path, "name: yaml\n", "optim.lr=fast")
    assert message == "command line: optim.lr: expected float, got 'fast'"


@pytest.mark.parametrize("text", ["010", "1_000", "1.10", "yes", "/tmp/my #1", "/tmp/a: b", "[a]", "null", ""])
def test_text_from_the_command_line_is_taken_as_it_is(text):
    assert from_words(f"name={text}").name == text


def test_a_section_given_a_value_and_a_value_given_a_section(tmp_path):
    assert message_of(from_words, "optim=3") == "command line: optim: expected a section, got 3"
    assert message_of(from_words, "name.x=3") == "command line: name: expected str, got {'x': 3}"
    assert message_of(from_yaml, tmp_path, "optim:\n  lr: 1\n", "optim=3") == (
        "command line: optim: expected a section, got the value 3"
    )
    assert message_of(from_yaml, tmp_path, "name: x\n", "name.y=3") == (
        "command line: name: expected the value 'x', got a section"
    )


def test_an_empty_section_in_the_file_is_no_hindrance_to_the_command_line(tmp_path):
    """`optim:` with all its lines commented out is None in YAML."""
    assert from_yaml(tmp_path, "optim:\n  # lr: 1\n", "optim.lr=2").optim.lr == 2


@pytest.mark.parametrize("word", ["name", "=x", ""])
def test_a_word_without_key_and_value_is_refused(word):
    assert message_of(from_words, word) == f"command line: expected key=value, got {word!r}"


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "\t- x", "- &x *y", "a: 2020-13-45"])
def test_bad_yaml_is_refused_in_one_line_that_names_the_file(tmp_path, text):
    message = message_of(from_yaml, tmp_path, text)
    assert message.startswith(f"{tmp_path}/job.yaml: expected YAML, got ")
    assert "\n" not in message


@pytest.mark.parametrize(("text", "got"), [("- a\n", "list"), ("hello\n", "str"), ("3\n", "int"), ("[]\n", "list")])
def test_yaml_that_is_no_table_is_refused(tmp_path, text, got):
    message = message_of(from_yaml, tmp_path, text)
    assert message == f"{tmp_path}/job.yaml: expected settings as `key: value`, got {got}"


def test_a_missing_file_a_folder_and_bad_bytes_are_refused(tmp_path):
    missing = tmp_path / "no.yaml"
    assert message_of(load, Job, missing) == f"{missing}: expected a configuration file, got nothing at that path"
    assert message_of(load, Job, tmp_path).startswith(f"{tmp_path}: expected YAML, got ")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xff")
    assert message_of(load, Job, tmp_path / "latin.yaml").startswith(f"{tmp_path}/latin.yaml: expected YAML, got ")


def test_some_settings_of_a_kind_are_cast_checked_and_applied(tmp_path):
    jobs = from_yaml(tmp_path, "some:\n  x: {optim: {lr: 3e-5}}\n  7:\n", "some.x.name=010", kind=Jobs)
    assert jobs.some == {"x": {"optim": {"lr": 3e-5}, "name": "010"}, "7": {}}
    assert vary(Job(), jobs.some["x"], "x") == Job(name="010", optim=Optim(lr=3e-5))
    assert vary(Job(), jobs.some["7"], "7") == Job()
    assert build(Jobs, to_dict(jobs)) == jobs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("some: {x: {optim: {weight_deacy: 0}}}", "some.x.optim.weight_deacy: no such setting; did you mean "),
        ("some: {x: {optim: 3}}", "some.x.optim: expected a section, got 3"),
        ("some: {x: {optim: {steps: two}}}", "some.x.optim.steps: expected int, got 'two'"),
        ("some: {x: [1]}", "some.x: expected a section, got [1]"),
        ("some: [1]", "some: expected a section, got [1]"),
    ],
)
def test_faults_in_some_settings_are_named_like_all(tmp_path, text, message):
    (tmp_path / "job.yaml").write_text(text, encoding="utf-8")
    assert message_of(load, Jobs, tmp_path / "job.yaml").startswith(f"{tmp_path}/job.yaml: {message}")


def test_varied_settings_are_checked_again():
    assert message_of(vary, Job(), {"optim": {"steps": 0}}, "x") == "x: optim.steps: expected at least 1, got 0"
    assert message_of(vary, Job(), {"optim": 3}, "x") == "x: optim: expected a section, got the value 3"


def test_loaded_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        from_words().name = "x"
