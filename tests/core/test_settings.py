import pytest
from pydantic import ValidationError

from daguan.core.errors import ConfigError
from daguan.core.needs import by_row, chosen, over_zero
from daguan.core.read_settings import require_read
from daguan.core.settings import Changes, Section, build, changes, load, require, section, setting, to_dict, vary
from daguan.core.tables import Row


class Optim(Section):
    lr: float = setting(0.1, "Rate.")
    weight_decay: float = setting(0.01, "Decay.")
    steps: int = setting(10, "Steps.", ge=1)


class Job(Section):
    name: str = setting("job", "Name.")
    resume: bool = setting(False, "Whether to go on.")
    labels: tuple[str, ...] = setting((), "Labels.")
    sizes: tuple[int, ...] = setting((1, 2), "Sizes.")
    optim: Optim = section(Optim)


class Jobs(Section):
    some: dict[str, Changes[Job]] = setting({}, "Jobs, each by the settings that differ.")


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
    job = Job(name="x", resume=True, labels=("a", "b"), sizes=(3,), optim=Optim(lr=1e-5, weight_decay=0.0, steps=7))
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


@pytest.mark.parametrize(
    ("text", "name", "steps"),
    [
        ("name: 010\noptim: {steps: 010}", "010", 10),  # no octal numbers
        ("name: 1:30", "1:30", "1:30"),  # nor numbers in base 60
        ("name: yes", "yes", "yes"),  # nor truth values but true and false
        ("name: on", "on", "on"),
        ("name: 0x10", "0x10", "0x10"),
        ("name: 2020-01-02", "2020-01-02", "2020-01-02"),  # nor dates
        ("name: 3e-5", "3e-05", "3e-5"),
    ],
)
def test_yaml_is_read_by_the_core_schema_of_version_1_2(tmp_path, text, name, steps):
    assert from_yaml(tmp_path, text).name == name
    if isinstance(steps, str):
        message = message_of(from_words, f"optim.steps={steps}")
        assert message.startswith("command line: optim.steps: expected int, got ")
        assert message_of(from_words, f"resume={steps}").startswith("command line: resume: expected bool, got ")


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("name: a\noptim: {lr: 1}\noptim: {steps: 2}\n", 3, "optim"),
        ("optim:\n  lr: 1\n  steps: 2\n  lr: 1\n", 4, "lr"),
        ("optim: {lr: 1, lr: 1}\n", 1, "lr"),
        ("some: [{a: 1, a: 2}]\n", 1, "a"),
    ],
)
def test_a_key_that_occurs_twice_is_refused_with_its_line(tmp_path, text, line, key):
    message = message_of(from_yaml, tmp_path, text)
    assert message == f"{tmp_path}/job.yaml:{line}: expected each key once, got {key!r} again"


@pytest.mark.parametrize("key", ["3", "1.5", "true", "~"])
@pytest.mark.parametrize("text", ["{key}: 4", "optim: {{{key}: 4}}"])
def test_a_key_that_is_no_text_is_no_setting(tmp_path, key, text):
    assert "expected" in (found := message_of(from_yaml, tmp_path, text.format(key=key))) or "no such" in found


@pytest.mark.parametrize("nested", ["[" * 5_000, "{a: " * 5_000])
def test_what_is_nested_too_deeply_is_refused(tmp_path, nested):
    assert message_of(from_yaml, tmp_path, nested).endswith("expected YAML, got brackets that are nested too deeply")
    assert message_of(from_words, f"optim.steps={nested}").startswith("command line: optim.steps: expected int, got ")


def test_a_key_that_occurs_twice_on_the_command_line_is_refused():
    message = message_of(from_words, "optim={lr: 1, lr: 2}")
    assert message == "command line:1: expected each key once, got 'lr' again"


def test_a_merge_key_gives_what_the_mapping_does_not_say_itself(tmp_path):
    text = "some:\n  x: &x {name: x, optim: {lr: 1}}\n  y: &y {<<: *x, name: y}\n  z: {<<: *y, resume: true}\n"
    some = from_yaml(tmp_path, text, kind=Jobs).some
    assert some["y"] == {"name": "y", "optim": {"lr": 1.0}}
    assert some["z"] == {"name": "y", "optim": {"lr": 1.0}, "resume": True}


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


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "\t- x", "- &x *y"])
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
    with pytest.raises(ValidationError):
        from_words().name = "x"


def test_a_copy_is_checked_again():
    """No way to copy settings makes what could not be built."""
    assert Job().replace(name="x", optim=Optim(steps=3)) == Job(name="x", optim=Optim(steps=3))
    assert message_of(lambda: Optim().replace(steps=0)) == "steps: expected at least 1, got 0"
    assert message_of(lambda: Optim().model_copy(update={"steps": 0})) == "steps: expected at least 1, got 0"
    assert message_of(lambda: Job().replace(nmae="x")) == "nmae: no such setting; did you mean 'name'?"


class Ranges(Section):
    share: float = setting(0.5, "Share.", gt=0, le=1)
    part: float = setting(0.0, "Part.", ge=0, lt=1)
    rate: float = setting(0.0, "Rate.", ge=0, le=0.4)
    length: int = setting(16, "Length.", gt=0, multiple_of=16)
    last: int = setting(3, "Last.")

    def check(self):
        require("last", self.last < self.length, "less than length", self.last)


class Whole(Section):
    ranges: Ranges = section(Ranges)
    by_name: dict[str, Ranges] = setting({}, "By name.")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("ranges.share=0", "ranges.share: expected over 0, at most 1, got 0.0"),
        ("ranges.part=1", "ranges.part: expected at least 0, under 1, got 1.0"),
        ("ranges.rate=0.5", "ranges.rate: expected 0 to 0.4, got 0.5"),
        ("ranges.length=17", "ranges.length: expected a multiple of 16, over 0, got 17"),
        ("ranges.last=16", "ranges.last: expected less than length, got 16"),
        ("by_name.x.last=16", "by_name.x.last: expected less than length, got 16"),
        ("by_name.x.lats=16", "by_name.x.lats: no such setting; did you mean 'last'?"),
        ("by_name.x.rate=a", "by_name.x.rate: expected float, got 'a'"),
        ("by_name.x=3", "by_name.x: expected a section, got 3"),
    ],
)
def test_a_fault_is_named_by_its_whole_path_and_all_that_is_expected(word, expected):
    assert message_of(load, Whole, None, [word]) == f"command line: {expected}"


TABLE = {"adam": Row("module:Adam"), "muon": Row("module:Muon", ("momentum",))}


class Choosing(Section):
    READ_WHEN = (by_row("inner.optimiser", TABLE),)
    optimiser: str = setting("", "Optimiser.", choices=TABLE)
    steps: int = setting(0, "Steps.", ge=0)
    alpha: float = setting(0.5, "Alpha.", reads_when=over_zero("inner.steps"))
    momentum: float = setting(0.9, "Momentum.")
    beta: float = setting(0.9, "Beta.", reads_when=(chosen("inner.optimiser", "adam"), over_zero("inner.steps")))


class Chooser(Section):
    inner: Choosing = section(Choosing)

    def check(self):
        require_read(self)


def test_a_new_row_of_a_table_is_a_new_choice():
    table = {"adam": Row("module:Adam"), "muon": Row("module:Muon", ("momentum",))}

    class Inner(Section):
        READ_WHEN = (by_row("inner.optimiser", table),)
        optimiser: str = setting("", "Optimiser.", choices=table)
        momentum: float = setting(0.9, "Momentum.")

    class Outer(Section):
        inner: Inner = section(Inner)

        def check(self):
            require_read(self)

    message = message_of(load, Outer, None, ["inner.optimiser=sgd"])
    assert message == "command line: inner.optimiser: expected adam or muon, got 'sgd'"
    table["sgd"] = Row("module:Sgd", ("momentum",))
    load(Outer, None, ["inner.optimiser=sgd", "inner.momentum=0.5"])
    load(Outer, None, ["inner.optimiser="])


@pytest.mark.parametrize(
    ("words", "needs"),
    [
        (["inner.alpha=0.1"], "inner.alpha: expected 0.5 unless inner.steps is over 0, got 0.1"),
        (["inner.momentum=0.1"], "inner.momentum: expected 0.9 unless inner.optimiser is muon, got 0.1"),
        (["inner.beta=0"], "inner.beta: expected 0.9 unless inner.optimiser is adam, got 0.0"),
        (["inner.beta=0", "inner.optimiser=adam"], "inner.beta: expected 0.9 unless inner.steps is over 0, got 0.0"),
    ],
)
def test_a_setting_that_nothing_reads_is_refused(words, needs):
    assert message_of(load, Chooser, None, words) == f"command line: {needs}"
    load(Chooser, None, ["inner.optimiser=muon", "inner.momentum=0.1", "inner.steps=1", "inner.alpha=0.1"])
    load(Chooser, None, ["inner.optimiser=adam", "inner.beta=0", "inner.steps=1"])


def test_some_settings_of_a_kind_are_checked_by_themselves_only(tmp_path):
    """Bounds of one setting hold at once; whether settings go together is asked when they are applied."""
    with pytest.raises(ConfigError, match=r"some.x.optim.steps: expected at least 1, got 0"):
        from_yaml(tmp_path, "some: {x: {optim: {steps: 0}}}", kind=Jobs)
    assert changes(Chooser, {"inner": {"alpha": "0.1"}}, "here") == {"inner": {"alpha": 0.1}}
    with pytest.raises(ConfigError, match=r"^there: inner.alpha: expected 0.5 unless "):
        vary(Chooser(), {"inner": {"alpha": 0.1}}, "there")


class Places(Section):
    folder: str = setting("data", "A folder.", is_path=True)
    start: str = setting("", "A folder, or none.", is_path=True)
    jobs: dict[str, Changes[Job]] = setting({}, "Jobs.")


@pytest.mark.parametrize("text", ["~/work", "~", "a/~", "./~/x", "/x", ""])
def test_a_path_means_the_same_in_a_file_and_on_the_command_line(tmp_path, monkeypatch, text):
    monkeypatch.setenv("HOME", "/home/somebody")
    expected = text.replace("~", "/home/somebody") if text.startswith("~") else text
    assert from_yaml(tmp_path, f"folder: '{text}'", kind=Places).folder == expected
    if text:
        assert load(Places, None, [f"folder={text}"]).folder == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["folder="], "command line: folder: expected a path, got ''"),
        (["start="], "command line: start: expected a path, or '' for none, got ''"),
        (["folder=~nobody-at-all/x"], "command line: folder: expected a path, where ~ is the folder of a user, got "),
        (["folder=/x/\udcca\udcfd"], "command line: expected UTF-8, got "),
        (["jobs={'\udcca': {}}"], "command line: expected UTF-8, got "),
    ],
)
def test_a_path_that_no_file_can_have_is_refused(words, message):
    """An empty one is that of a variable that is not set; a name of other bytes than UTF-8 fits into no manifest."""
    assert message_of(load, Places, None, words).startswith(message)


def test_a_path_that_is_empty_by_default_may_be_made_empty(tmp_path):
    assert from_yaml(tmp_path, "start: somewhere", "start=''", kind=Places).start == ""
    assert from_yaml(tmp_path, "start: ''", kind=Places).start == ""


def test_a_path_through_a_link_or_below_the_current_folder_must_be_utf8_too(tmp_path, monkeypatch):
    folder = tmp_path / "\udcca\udcfd"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    assert "expected a path whose whole name is UTF-8" in message_of(
        build, Places, {"folder": str(tmp_path / "link" / "x")}
    )
    monkeypatch.chdir(folder)
    assert "expected a path whose whole name is UTF-8" in message_of(load, Places, None, ["folder=data"])
    assert "expected a path whose whole name is UTF-8" in message_of(load, Places, folder / "x.yaml", [])


@pytest.mark.parametrize("text", ["012", "+012", "0012"])
def test_a_number_that_looks_octal_is_decimal_everywhere(tmp_path, text):
    assert from_yaml(tmp_path, f"optim: {{steps: {text}}}").optim.steps == 12
    assert load(Job, None, [f"optim.steps={text}"]).optim.steps == 12


@pytest.mark.parametrize("text", ["0x10", "0o17", "1:30"])
def test_a_number_that_yaml_would_read_otherwise_is_refused(tmp_path, text):
    for refused in (
        lambda: from_yaml(tmp_path, f"optim: {{steps: {text}}}"),
        lambda: from_words(f"optim.steps={text}"),
    ):
        assert "expected" in message_of(refused)
