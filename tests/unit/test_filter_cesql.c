/* SPDX-License-Identifier: Apache-2.0 */
/* CESQL: what expressions give, and what is said of those that are wrong. */
#include "unit/filter_fixture.h"

#include "filter/like.h"

static const char *const fault_names[] = { "", "cast", "math", "missing", "function", "budget" };

/*
 * The event of all rows: id 1, source https://example.com/orders, type com.example.order.created; as text: hop 5,
 * ttl 10, sequence 42, yes TRUE, name Ada, padded "  x ", greek ΑΣ, wild a%b_c; as numbers and booleans: count 7,
 * done true.
 */
static weir_event *event_of_rows(struct filter_fixture *fixture)
{
	static const char json[] = "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"https://example.com/orders\","
				   "\"type\":\"com.example.order.created\",\"hop\":\"5\",\"ttl\":\"10\","
				   "\"sequence\":\"42\",\"yes\":\"TRUE\",\"name\":\"Ada\",\"padded\":\"  x \","
				   "\"greek\":\"\xce\x91\xce\xa3\",\"wild\":\"a%b_c\",\"count\":7,\"done\":true}";
	struct weir_error err = WEIR_ERROR_INIT;

	if (weir_event_from_json(fixture->event, weir_str(json), &err))
		fail_msg("%s", err.text);
	return fixture->event;
}

static void write_value(const struct weir_filter_value *value, enum weir_filter_fault fault, char *out, size_t size)
{
	const char *name = fault_names[fault];

	if (value->type == WEIR_FILTER_BOOLEAN)
		snprintf(out, size, "%s", value->number ? "true" : "false");
	else if (value->type == WEIR_FILTER_INTEGER)
		snprintf(out, size, "%d", value->number);
	else
		snprintf(out, size, "'%.*s'", (int)value->text.len, (const char *)value->text.ptr);
	if (fault)
		snprintf(out + strlen(out), size - strlen(out), " %s", name);
}

static int compile(struct filter_fixture *fixture, const char *expression, struct weir_error *err)
{
	unsigned doubts;

	return weir_filter_add_expression(fixture->builder, weir_str(expression), true, &doubts, err);
}

struct row {
	const char *expression, *gives; /* with a fault: the zero value of its type, and the fault */
};

static void assert_row(void **state, const struct row *row)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_filter_value value;
	enum weir_filter_fault fault;
	char got[256];

	filter_begin(state);
	if (compile(*state, row->expression, &err))
		fail_msg("%s: %s", row->expression, err.text);
	fault = weir_filter_value(finish(*state), event_of_rows(*state), ((struct filter_fixture *)*state)->scratch,
				  &value);
	write_value(&value, fault, got, sizeof got);
	if (strcmp(got, row->gives) != 0)
		fail_msg("%s gives %s, not %s", row->expression, got, row->gives);
	filter_end(state);
}

#define ASSERT_ROWS(rows)                                                                                              \
	for (size_t row = 0; row < sizeof(rows) / sizeof((rows)[0]); row++)                                            \
	assert_row(state, &(rows)[row])

/* ---- values ----------------------------------------------------------------- */

static void literals_are_what_they_say(void **state)
{
	static const struct row rows[] = {
		{ "TRUE", "true" },
		{ "False", "false" },
		{ "0", "0" },
		{ "007", "7" },
		{ "+12", "12" },
		{ "-12", "-12" },
		{ "2147483647", "2147483647" },
		{ "-2147483648", "-2147483648" },
		{ "'a b'", "'a b'" },
		{ "\"a'b\"", "'a'b'" },
		{ "'it\\'s'", "'it's'" },
		{ "\"a\\\"b\"", "'a\"b'" },
		{ "'a\\b'", "'a\\b'" },
		{ "'a\\\\'", "'a\\\\'" },
		{ "''", "''" },
		{ "'\xe2\x82\xac'", "'\xe2\x82\xac'" },
		{ " \t\r\n( ( 'x' ) ) ", "'x'" },
	};

	ASSERT_ROWS(rows);
}

static void attributes_have_the_types_that_the_event_gives_them(void **state)
{
	static const struct row rows[] = {
		{ "id", "'1'" },
		{ "specversion", "'1.0'" },
		{ "source", "'https://example.com/orders'" },
		{ "name", "'Ada'" },
		{ "NAME", "'Ada'" },
		{ "count", "7" },
		{ "done", "true" },
		{ "subject", "false missing" },
		{ "nowhere", "false missing" },
		{ "EXISTS id AND EXISTS name AND EXISTS TYPE", "true" },
		{ "EXISTS subject", "false" },
		{ "NOT EXISTS nowhere", "true" },
		{ "EXISTS 123", "false" },
	};

	ASSERT_ROWS(rows);
}

/* ---- operators ---------------------------------------------------------------- */

static void logic_is_evaluated_from_the_left_and_no_further_than_needed(void **state)
{
	static const struct row rows[] = {
		{ "TRUE AND TRUE", "true" },
		{ "TRUE AND FALSE", "false" },
		{ "FALSE AND TRUE", "false" },
		{ "FALSE OR FALSE", "false" },
		{ "FALSE OR TRUE", "true" },
		{ "TRUE XOR TRUE", "false" },
		{ "TRUE XOR FALSE", "true" },
		{ "FALSE XOR FALSE", "false" },
		{ "FALSE AND 1 / 0 = 1", "false" },
		{ "TRUE OR 1 / 0 = 1", "true" },
		{ "TRUE AND 1 / 0 = 1", "false math" },
		{ "FALSE OR nowhere = 1", "false missing" },
		{ "TRUE OR nowhere = 1", "true" },
		{ "TRUE XOR nowhere", "false missing" },
		{ "TRUE OR TRUE AND FALSE", "false" }, /* one rank, from the left */
		{ "TRUE OR (TRUE AND FALSE)", "true" },
		{ "FALSE AND TRUE OR TRUE", "true" },
		{ "FALSE AND (TRUE OR TRUE)", "false" },
		{ "TRUE XOR TRUE OR TRUE", "true" },
		{ "TRUE and 'yes'", "false cast" },
		{ "'true' AND 1", "true" },
		{ "0 OR yes", "true" },
		{ "NOT TRUE", "false" },
		{ "NOT NOT TRUE", "true" },
		{ "NOT 0", "true" },
		{ "NOT 10", "false" }, /* an integer is true unless it is 0: section 3.7 */
		{ "NOT 'FALSE'", "true" },
		{ "NOT 'no'", "false cast" },
		{ "NOT nowhere", "false missing" },
		{ "NOT FALSE = TRUE", "true" },
		{ "NOT (FALSE = TRUE)", "true" },
		{ "NOT TRUE LIKE 'f%'", "true" }, /* NOT binds closer than LIKE */
	};

	ASSERT_ROWS(rows);
}

static void arithmetic_has_32_bits_and_its_ranks(void **state)
{
	static const struct row rows[] = {
		{ "1 + 2 * 3", "7" },
		{ "(1 + 2) * 3", "9" },
		{ "10 - 4 - 3", "3" },
		{ "7 / 2", "3" },
		{ "-7 / 2", "-3" },
		{ "7 % 3", "1" },
		{ "-7 % 3", "-1" },
		{ "7 % -3", "1" },
		{ "24 / 4 / 2 % 2", "1" },
		{ "5-3", "2" },
		{ "5 -3", "2" },
		{ "5--3", "8" },
		{ "- 5", "-5" },
		{ "--5", "5" },
		{ "-(2 + 3)", "-5" },
		{ "-'5'", "-5" },
		{ "-TRUE", "-1" },
		{ "'5' + TRUE", "6" },
		{ "sequence + 1", "43" },
		{ "count * 2", "14" },
		{ "hop * ttl", "50" },
		{ "1 / 0", "0 math" },
		{ "1 % 0", "0 math" },
		{ "1 / nowhere", "0 missing" },
		{ "nowhere / 0", "0 missing" },
		{ "2147483647 + 1", "0 math" },
		{ "-2147483648 - 1", "0 math" },
		{ "65536 * 65536", "0 math" },
		{ "-2147483648 / -1", "0 math" },
		{ "-2147483648 % -1", "0" },
		{ "-(-2147483648)", "0 math" },
		{ "name + 1", "0 cast" },
		{ "-nowhere", "0 missing" },
	};

	ASSERT_ROWS(rows);
}

static void comparisons_take_the_type_of_the_right_side(void **state)
{
	static const struct row rows[] = {
		{ "1 = 1", "true" },
		{ "1 != 1", "false" },
		{ "1 <> 2", "true" },
		{ "'a' = 'a'", "true" },
		{ "'a' = 'A'", "false" },
		{ "'a' <> 'A'", "true" },
		{ "TRUE = TRUE", "true" },
		{ "1 < 2 ", "true" },
		{ "2 < 2", "false" },
		{ "2 <= 2", "true" },
		{ "3 > 2", "true" },
		{ "2 >= 3", "false" },
		{ "'10' < '9'", "false" }, /* numbers always */
		{ "hop < ttl", "true" },
		{ "int(hop) < INT(ttl) and Int(hop) < 1000", "true" },
		{ "sequence = 42", "true" },
		{ "sequence = '42'", "true" },
		{ "sequence = '042'", "false" },
		{ "42 = sequence", "true" },
		{ "'042' = 42", "true" },
		{ "'+42' = 42", "true" },
		{ "'+-42' = 42", "false cast" },
		{ "'4 2' = 42", "false cast" },
		{ "'' = 0", "false cast" },
		{ "'99999999999' = 1", "false cast" },
		{ "count = 7", "true" },
		{ "count = '7'", "true" },
		{ "'TRUE' = TRUE", "true" },
		{ "TRUE = 'TRUE'", "false" },
		{ "TRUE = 'true'", "true" },
		{ "1 = TRUE", "true" },
		{ "TRUE = 1", "true" },
		{ "2 = TRUE", "true" },
		{ "name < 5", "false cast" },
		{ "nowhere = ''", "false missing" },
		{ "nowhere != ''", "false missing" },
		{ "1 = nowhere", "false missing" },
		{ "1 < 2 = TRUE", "true" }, /* one rank, from the left */
		{ "1 + 1 = 2 AND 2 * 2 = 4", "true" },
	};

	ASSERT_ROWS(rows);
}

static void patterns_have_two_wildcards_and_an_escape(void **state)
{
	static const struct row rows[] = {
		{ "'abc' LIKE 'abc'", "true" },
		{ "'abc' LIKE 'ab'", "false" },
		{ "'abc' LIKE 'ABC'", "false" },
		{ "'abc' LIKE 'a%'", "true" },
		{ "'abc' LIKE '%c'", "true" },
		{ "'abc' LIKE '%b%'", "true" },
		{ "'abc' LIKE '%d%'", "false" },
		{ "'abc' LIKE '%'", "true" },
		{ "'' LIKE '%'", "true" },
		{ "'' LIKE ''", "true" },
		{ "'' LIKE '_'", "false" },
		{ "'abc' LIKE 'a_c'", "true" },
		{ "'abc' LIKE '___'", "true" },
		{ "'abc' LIKE '__'", "false" },
		{ "'abc' LIKE '____'", "false" },
		{ "'\xe2\x82\xac' LIKE '_'", "true" },
		{ "'a\xe2\x82\xac\xc3\xa4z' LIKE 'a__z'", "true" },
		{ "'a\xe2\x82\xac\xc3\xa4z' LIKE '%_z'", "true" },
		{ "'aXbXc' LIKE 'a%b%c'", "true" },
		{ "'abcabd' LIKE '%ab_'", "true" },
		{ "'mississippi' LIKE '%iss%ip%'", "true" },
		{ "'mississippi' LIKE '%iss%ix%'", "false" },
		{ "'aaab' LIKE '%a_b'", "true" },
		{ "'a%c' LIKE 'a\\%c'", "true" },
		{ "'abc' LIKE 'a\\%c'", "false" },
		{ "'a_c' LIKE 'a\\_c'", "true" },
		{ "'abc' LIKE 'a\\_c'", "false" },
		{ "'a\\c' LIKE 'a\\c'", "true" },
		{ "wild LIKE 'a\\%b\\_c'", "true" },
		{ "name NOT LIKE 'A%'", "false" },
		{ "name NOT LIKE 'B%'", "true" },
		{ "type LIKE 'com.example.%.created'", "true" },
		{ "source LIKE 'https://%'", "true" },
		{ "count LIKE '_'", "true" },
		{ "1234 LIKE '12%'", "true" },
		{ "done LIKE 'tr__'", "true" },
		{ "nowhere LIKE '%'", "false missing" },
		{ "nowhere NOT LIKE '%'", "false missing" },
		{ "'a' LIKE 'a' = TRUE", "true" },
		{ "1 + 1 LIKE '1'", "2" }, /* 1 + (1 LIKE '1') */
		{ "'a' LIKE 'a' LIKE 'true'", "true" },
		{ "'it\\'s' LIKE 'it\\'%'", "true" },
	};

	ASSERT_ROWS(rows);
}

static void a_set_is_searched_with_the_type_of_the_left_side(void **state)
{
	static const struct row rows[] = {
		{ "1 IN (1)", "true" },
		{ "3 IN (1, 2)", "false" },
		{ "3 NOT IN (1, 2)", "true" },
		{ "'b' IN ('a', 'b', 'c')", "true" },
		{ "'b' NOT IN ('a', 'b', 'c')", "false" },
		{ "1 IN ('2', '1')", "true" },
		{ "'1' IN (2, 1)", "true" },
		{ "'TRUE' IN (TRUE, 'x')", "false" },
		{ "'true' IN (TRUE)", "true" },
		{ "TRUE IN ('False', 'True')", "true" },
		{ "sequence IN (41, 42)", "true" },
		{ "count IN ('7')", "true" },
		{ "1 IN ('x', 1)", "false cast" },
		{ "1 IN (1, 'x')", "true" }, /* nothing behind the first equal element is looked at */
		{ "1 IN (nowhere, 1)", "false missing" },
		{ "nowhere IN (1)", "false missing" },
		{ "source IN (id, CONCAT('https://', 'example.com', '/orders'))", "true" },
		{ "1 + 1 IN (2)", "1" }, /* 1 + (1 IN (2)) */
		{ "2 IN (1 + 1) AND TRUE", "true" },
		{ "1 IN (1) IN (TRUE)", "true" },
		{ "(1 IN (2, (3), 1)) = TRUE", "true" },
	};

	ASSERT_ROWS(rows);
}

/* ---- functions ------------------------------------------------------------------ */

static void functions_do_what_the_specification_says(void **state)
{
	static const struct row rows[] = {
		{ "LENGTH('')", "0" },
		{ "LENGTH('\xe2\x82\xac\xf0\x9f\x98\x80')", "2" },
		{ "LENGTH(FALSE)", "5" },
		{ "LENGTH(-10)", "3" },
		{ "CONCAT()", "''" },
		{ "CONCAT('a')", "'a'" },
		{ "CONCAT('a', 1, TRUE)", "'a1true'" },
		{ "CONCAT_WS('-')", "''" },
		{ "CONCAT_WS('-', 'a')", "'a'" },
		{ "concat_ws(', ', 'a', 'b', 3)", "'a, b, 3'" },
		{ "CONCAT_WS('', 'a', 'b')", "'ab'" },
		{ "LOWER('AbC1')", "'abc1'" },
		{ "UPPER('abC1')", "'ABC1'" },
		{ "LOWER(greek)", "'\xce\xb1\xcf\x83'" },
		{ "UPPER('\xc3\xa4\xc3\x9f\xd0\xb6')", "'\xc3\x84\xc3\x9f\xd0\x96'" },
		{ "LOWER('\xc8\xba\xc8\xba')", "'\xe2\xb1\xa5\xe2\xb1\xa5'" }, /* grows */
		{ "TRIM(padded)", "'x'" },
		{ "TRIM('\xe3\x80\x80 a b\xc2\xa0\xe2\x80\x83')", "'a b'" },
		{ "TRIM('   ')", "''" },
		{ "TRIM('')", "''" },
		{ "LEFT('abc', 2)", "'ab'" },
		{ "LEFT('abc', 9)", "'abc'" },
		{ "LEFT('abc', 0)", "''" },
		{ "LEFT('\xe2\x82\xac\xe2\x82\xac', 1)", "'\xe2\x82\xac'" },
		{ "LEFT('abc', -1)", "'' function" },
		{ "RIGHT('abc', 2)", "'bc'" },
		{ "RIGHT('abc', 9)", "'abc'" },
		{ "RIGHT('abc', 0)", "''" },
		{ "RIGHT('a\xe2\x82\xac', 1)", "'\xe2\x82\xac'" },
		{ "RIGHT('abc', -1)", "'' function" },
		{ "SUBSTRING('abcdef', 1)", "'abcdef'" },
		{ "SUBSTRING('abcdef', 6)", "'f'" },
		{ "SUBSTRING('abcdef', 7)", "'' function" },
		{ "SUBSTRING('abcdef', 0)", "''" },
		{ "SUBSTRING('abcdef', 0, 3)", "''" },
		{ "SUBSTRING('abcdef', -2)", "'ef'" },
		{ "SUBSTRING('abcdef', -6)", "'abcdef'" },
		{ "SUBSTRING('abcdef', -7)", "'' function" },
		{ "SUBSTRING('abcdef', 2, 3)", "'bcd'" },
		{ "SUBSTRING('abcdef', 5, 9)", "'ef'" },
		{ "SUBSTRING('abcdef', -3, 2)", "'de'" },
		{ "SUBSTRING('abcdef', 2, 0)", "''" },
		{ "SUBSTRING('abcdef', 2, -1)", "'' function" },
		{ "SUBSTRING('\xe2\x82\xac"
		  "b\xc3\xa4', 2, 2)",
		  "'b\xc3\xa4'" },
		{ "SUBSTRING(12345, '2', '2')", "'23'" },
		{ "ABS(-5)", "5" },
		{ "ABS('-5')", "5" },
		{ "ABS(0)", "0" },
		{ "ABS(-2147483648)", "0 math" },
		{ "ABS(name)", "0 cast" },
		{ "ABS(nowhere)", "0 missing" },
		{ "INT('12')", "12" },
		{ "INT(TRUE)", "1" },
		{ "INT('x')", "0 cast" },
		{ "BOOL('tRuE')", "true" },
		{ "BOOL(-3)", "true" },
		{ "BOOL(0)", "false" },
		{ "BOOL('1')", "false cast" },
		{ "STRING(FALSE)", "'false'" },
		{ "STRING(-7)", "'-7'" },
		{ "UPPER(LEFT(LOWER(name), LENGTH(name) - 2))", "'A'" },
		{ "LENGTH(CONCAT(name, RIGHT(source, 6))) = 9", "true" },
	};

	ASSERT_ROWS(rows);
}

/* ---- mistakes --------------------------------------------------------------------- */

static void a_mistake_is_told_with_its_place(void **state)
{
	static const struct {
		const char *expression, *text;
	} rows[] = {
		{ "", "at character 1: expected a value, but the expression ends" },
		{ "a = ", "at character 5: expected a value, but the expression ends" },
		{ "a b", "at character 3: expected an operator or the end, found \"b\"" },
		{ "(a b)", "at character 4: expected an operator or \")\", found \"b\"" },
		{ "a = = b", "at character 5: expected a value, found \"=\"" },
		{ "AND a", "at character 1: expected a value, found \"AND\"" },
		{ "a LIKE b", "at character 8: expected a pattern in quotes, found \"b\"" },
		{ "a LIKE 1", "at character 8: expected a pattern in quotes, found \"1\"" },
		{ "a NOT b", "at character 7: expected LIKE or IN, found \"b\"" },
		{ "a IN b", "at character 6: expected \"(\", found \"b\"" },
		{ "a IN ()", "at character 7: expected a value, found \")\"" },
		{ "a IN (1", "at character 3: the parenthesis that begins here is not closed" },
		{ "a IN (1,)", "at character 9: expected a value, found \")\"" },
		{ "EXISTS 'a'", "at character 8: expected the name of an attribute, found a text in quotes" },
		{ "EXISTS", "at character 7: expected the name of an attribute, but the expression ends" },
		{ "(a", "at character 1: the parenthesis that begins here is not closed" },
		{ "a)", "at character 2: expected an operator or the end, found \")\"" },
		{ "a, b", "at character 2: expected an operator or the end, found \",\"" },
		{ "(a, b)", "at character 3: expected an operator or \")\", found \",\"" },
		{ "ABC(", "at character 1: there is no function \"ABC\"; did you mean \"ABS\"?" },
		{ "ABS(1", "at character 1: the parenthesis that begins here is not closed" },
		{ "LENGTHS('a')", "at character 1: there is no function \"LENGTHS\"; did you mean \"LENGTH\"?" },
		{ "frobnicate_everything(1)", "at character 1: there is no function \"frobnicate_everything\"" },
		{ "CONCAT_WS()", "at character 1: CONCAT_WS takes 1 argument or more, not 0" },
		{ "TRUE AND ABS(1, 2)", "at character 10: ABS takes 1 argument, not 2" },
		{ "LEFT('a')", "at character 1: LEFT takes 2 arguments, not 1" },
		{ "SUBSTRING('a')", "at character 1: SUBSTRING takes 2 or 3 arguments, not 1" },
		{ "'abc", "at character 1: the text in quotes that begins here has no end" },
		{ "a = 'abc\\'", "at character 5: the text in quotes that begins here has no end" },
		{ "'a''b'", "at character 4: expected an operator or the end, found a text in quotes" },
		{ "a = ; b", "at character 5: expected a value, found a character that is no part of CESQL" },
		{ "'\xe2\x82\xac' ! b",
		  "at character 5: expected an operator or the end, found a character that is no part of CESQL" },
		{ "2147483648", "at character 1: an integer must be between -2147483648 and 2147483647" },
		{ "1 + -2147483649", "at character 5: an integer must be between -2147483648 and 2147483647" },
		{ "99999999999999999999", "at character 1: an integer must be between -2147483648 and 2147483647" },
		{ "+ 1", "at character 1: expected a value, found \"+\"" },
		{ "my_ext = 1", "at character 1: \"my_ext\" is not the name of an attribute: allowed are a-z and 0-9" },
		{ "data = 1",
		  "at character 1: \"data\" is the event's data, which cannot be filtered by: only attributes can" },
		{ "\xff", "is not UTF-8" },
	};
	struct weir_error err;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		filter_begin(state);
		assert_int_equal(compile(*state, rows[i].expression, &err), WEIR_EINVAL);
		assert_string_equal(err.text, rows[i].text);
		filter_end(state);
	}
}

static void what_cannot_give_true_or_false_is_no_filter(void **state)
{
	static const char *const expressions[] = { "1 + 1", "'true'", "LENGTH(id)", "-1", "CONCAT('tr', 'ue')" };
	struct weir_error err;
	unsigned doubts;

	for (size_t i = 0; i < sizeof expressions / sizeof expressions[0]; i++) {
		struct filter_fixture *fixture;

		filter_begin(state);
		fixture = *state;
		assert_int_equal(weir_filter_add_cesql(fixture->builder, weir_str(expressions[i]), &doubts, &err),
				 WEIR_EINVAL);
		assert_non_null(strstr(err.text, "a filter must give true or false"));
		filter_end(state);
	}
}

static void what_is_hardly_meant_is_doubted(void **state)
{
	static const struct {
		const char *expression;
		unsigned doubts;
	} rows[] = {
		{ "a = 1 AND b = 2 AND c = 3", 0 },
		{ "a = 1 AND b = 2 OR c = 3", WEIR_FILTER_DOUBT_MIXED },
		{ "a = 1 AND (b = 2 OR c = 3)", 0 },
		{ "(a = 1 AND b = 2) OR c = 3", 0 },
		{ "a XOR b OR c", WEIR_FILTER_DOUBT_MIXED },
		{ "NOT a", 0 },
		{ "NOT a AND b", 0 },
		{ "NOT a = 'b'", WEIR_FILTER_DOUBT_NOT },
		{ "NOT (a = 'b')", 0 },
		{ "NOT a LIKE 'b%'", WEIR_FILTER_DOUBT_NOT },
		{ "a NOT LIKE 'b%'", 0 },
		{ "NOT EXISTS a", 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct filter_fixture *fixture;
		unsigned doubts;

		filter_begin(state);
		fixture = *state;
		assert_int_equal(weir_filter_add_cesql(fixture->builder, weir_str(rows[i].expression), &doubts, NULL),
				 WEIR_OK);
		if (doubts != rows[i].doubts)
			fail_msg("%s", rows[i].expression);
		filter_end(state);
	}
}

/* ---- limits ------------------------------------------------------------------------ */

/* `count` times `part`, with `middle` behind it and `count` times `end`. */
static const char *nested(const char *part, const char *middle, const char *end, size_t count)
{
	static char text[2 * WEIR_FILTER_EXPRESSION_BYTES];
	size_t len = 0;

	for (size_t i = 0; i < count; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s", part);
	len += (size_t)snprintf(text + len, sizeof text - len, "%s", middle);
	for (size_t i = 0; i < count; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s", end);
	return text;
}

static int compiles(void **state, const char *expression)
{
	struct weir_error err;
	int code;

	filter_begin(state);
	code = compile(*state, expression, &err);
	filter_end(state);
	return code;
}

static void nesting_and_length_have_limits(void **state)
{
	assert_int_equal(compiles(state, nested("(", "TRUE", ")", WEIR_FILTER_DEPTH_MAX)), WEIR_OK);
	assert_int_equal(compiles(state, nested("(", "TRUE", ")", WEIR_FILTER_DEPTH_MAX + 1)), WEIR_ETOOBIG);
	assert_int_equal(compiles(state, nested("NOT ", "TRUE", "", WEIR_FILTER_DEPTH_MAX)), WEIR_OK);
	assert_int_equal(compiles(state, nested("NOT ", "TRUE", "", WEIR_FILTER_DEPTH_MAX + 1)), WEIR_ETOOBIG);
	assert_int_equal(compiles(state, nested("(1 + ", "1", ")", WEIR_FILTER_DEPTH_MAX / 2)), WEIR_OK);
	assert_int_equal(compiles(state, nested("TRUE AND ", "TRUE", "", 900)), WEIR_OK);
	assert_int_equal(compiles(state, nested("CONCAT('a', ", "'b'", ")", 200)), WEIR_ETOOBIG);
	assert_int_equal(compiles(state, nested(" ", "TRUE", "", WEIR_FILTER_EXPRESSION_BYTES - 4)), WEIR_OK);
	assert_int_equal(compiles(state, nested(" ", "TRUE", "", WEIR_FILTER_EXPRESSION_BYTES - 3)), WEIR_ETOOBIG);
}

static void too_many_values_at_a_time_are_refused(void **state)
{
	char text[1024] = "CONCAT(1";
	size_t len = strlen(text);

	for (int i = 1; i < WEIR_FILTER_DEPTH_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, ",1");
	snprintf(text + len, sizeof text - len, ")");
	assert_int_equal(compiles(state, text), WEIR_OK);
	snprintf(text + len, sizeof text - len, ",1)");
	assert_int_equal(compiles(state, text), WEIR_ETOOBIG);
}

/* An attribute of 8 KiB doubled and doubled again does not fit; patterns that backtrack do not get far. */
static void an_evaluation_has_a_budget(void **state)
{
	static char big[8193];
	static const struct row rows[] = {
		{ "LENGTH(CONCAT(big, big, big, big, big, big, big))", "57344" },
		{ "LENGTH(CONCAT(big, big, big, big, big, big, big, big, big))", "0 budget" },
		{ "big LIKE "
		  "'%aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab%'",
		  "false budget" },
		{ "big LIKE '%b%'", "false" },
	};

	memset(big, 'a', sizeof big - 1);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct filter_fixture *fixture;
		struct weir_filter_value value;
		enum weir_filter_fault fault;
		char got[64];

		filter_begin(state);
		fixture = *state;
		set_attribute(fixture->event, "big", big);
		assert_int_equal(compile(fixture, rows[i].expression, NULL), WEIR_OK);
		fault = weir_filter_value(finish(fixture), fixture->event, fixture->scratch, &value);
		write_value(&value, fault, got, sizeof got);
		assert_string_equal(got, rows[i].gives);
		filter_end(state);
	}
}

/* ---- as filters ----------------------------------------------------------------------- */

static void add_cesql(struct filter_fixture *fixture, const char *expression)
{
	struct weir_error err = WEIR_ERROR_INIT;
	unsigned doubts;

	if (weir_filter_add_cesql(fixture->builder, weir_str(expression), &doubts, &err))
		fail_msg("%s", err.text);
}

static void an_expression_that_fails_is_false_and_what_is_around_it_goes_on(void **state)
{
	struct filter_fixture *fixture = *state;
	const struct weir_filter *filter;

	begin_group(fixture, WEIR_FILTER_ANY);
	add_cesql(fixture, "nowhere = 1");
	add_cesql(fixture, "1 / 0 = 1");
	add_match(fixture, WEIR_FILTER_EXACT, "id", "1");
	end_group(fixture);
	begin_group(fixture, WEIR_FILTER_NOT);
	add_cesql(fixture, "TRUE AND ABS(type) = 1");
	end_group(fixture);
	filter = finish(fixture);
	assert_true(passes(fixture, filter));
	assert_int_equal(fixture->fault, WEIR_FILTER_MISSING); /* the first */
}

static void only_the_boolean_true_passes(void **state)
{
	struct filter_fixture *fixture = *state;
	const struct weir_filter *filter;

	add_cesql(fixture, "flag");
	filter = finish(fixture);
	assert_false(passes(fixture, filter));
	set_attribute(fixture->event, "flag", "true"); /* a text */
	assert_false(passes(fixture, filter));
	assert_int_equal(weir_event_from_json(fixture->event,
					      WEIR_STR("{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/\","
						       "\"type\":\"t\",\"flag\":true}"),
					      NULL),
			 WEIR_OK);
	assert_true(passes(fixture, filter));
}

static void evaluating_allocates_nothing(void **state)
{
	struct filter_fixture *fixture = *state;
	const struct weir_filter *filter;
	uint64_t before;

	add_cesql(fixture, "LOWER(CONCAT(type, '-', LENGTH(source))) LIKE '%created-26' AND id IN ('2', UPPER(id))");
	filter = finish(fixture);
	before = weir_mem_count();
	assert_true(passes(fixture, filter));
	assert_int_equal(weir_mem_count(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(literals_are_what_they_say),
		cmocka_unit_test(attributes_have_the_types_that_the_event_gives_them),
		cmocka_unit_test(logic_is_evaluated_from_the_left_and_no_further_than_needed),
		cmocka_unit_test(arithmetic_has_32_bits_and_its_ranks),
		cmocka_unit_test(comparisons_take_the_type_of_the_right_side),
		cmocka_unit_test(patterns_have_two_wildcards_and_an_escape),
		cmocka_unit_test(a_set_is_searched_with_the_type_of_the_left_side),
		cmocka_unit_test(functions_do_what_the_specification_says),
		cmocka_unit_test(a_mistake_is_told_with_its_place),
		cmocka_unit_test(what_cannot_give_true_or_false_is_no_filter),
		cmocka_unit_test(what_is_hardly_meant_is_doubted),
		cmocka_unit_test(nesting_and_length_have_limits),
		cmocka_unit_test(too_many_values_at_a_time_are_refused),
		cmocka_unit_test(an_evaluation_has_a_budget),
		FILTER_TEST(an_expression_that_fails_is_false_and_what_is_around_it_goes_on),
		FILTER_TEST(only_the_boolean_true_passes),
		FILTER_TEST(evaluating_allocates_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
