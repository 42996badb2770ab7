/* tests/unit/cli/test_api_query.c - forms of the query protocol, and XML read as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/api_query.h"

static void a_form_has_its_words_encoded(void **state)
{
    (void)state;
    struct api_form form;
    api_form_init(&form, "CreateSecurityGroup", "2016-11-15");
    api_form_add(&form, "GroupName", "a b&c=d/\xc3\xa9~");
    api_form_add(&form, "VpcId", NULL);
    assert_false(form.is_full);
    const char *expected = "Action=CreateSecurityGroup&Version=2016-11-15&"
                           "GroupName=a%20b%26c%3Dd%2F%C3%A9~";
    assert_int_equal(form.size, strlen(expected));
    assert_memory_equal(form.text, expected, form.size);
    api_form_fini(&form);
}

static void a_list_is_numbered(void **state)
{
    (void)state;
    struct api_form form;
    api_form_init(&form, "A", "1");
    api_form_add_list(&form, "GroupId", "sg-1,sg-2");
    api_form_add_list(&form, "Other", NULL);
    api_form_add_list(&form, "Other", "");
    const char *expected = "Action=A&Version=1&GroupId.1=sg-1&GroupId.2=sg-2";
    assert_int_equal(form.size, strlen(expected));
    assert_memory_equal(form.text, expected, form.size);
    api_form_fini(&form);
}

static void what_does_not_fit_a_form_is_remembered(void **state)
{
    (void)state;
    static char large[API_FORM_SIZE_MAX];
    memset(large, '/', sizeof large - 1); /* three times as long when encoded */
    struct api_form form;
    api_form_init(&form, "A", "1");
    api_form_add(&form, "Name", large);
    assert_true(form.is_full);
    assert_true(form.size <= API_FORM_SIZE_MAX);
    api_form_fini(&form);
}

static json_t *parse(const char *xml)
{
    return api_xml_to_json(xml, strlen(xml));
}

static void xml_becomes_json(void **state)
{
    (void)state;
    json_t *json =
        parse("<?xml version=\"1.0\"?>\n<R xmlns=\"http://e\"><requestId>x&amp;y</requestId>"
              "<set><item><id>1</id></item><item><id>2</id></item></set>\n"
              "<one><member>m</member></one><none/></R>");
    assert_non_null(json);
    json_t *expected = json_pack("{s:s, s:[{s:s}, {s:s}], s:[s], s:s}", "requestId", "x&y", "set",
        "id", "1", "id", "2", "one", "m", "none", "");
    assert_true(json_equal(json, expected));
    json_decref(expected);
    json_decref(json);
}

static void what_is_no_xml_is_refused(void **state)
{
    (void)state;
    assert_null(parse(""));
    assert_null(parse("<a><b></a>"));
    assert_null(parse("{\"a\": 1}"));
}

static void xml_that_is_too_deep_is_refused(void **state)
{
    (void)state;
    char xml[1024] = "";
    for (unsigned i = 0; i < 64; i++)
        (void)strncat(xml, "<a>", sizeof xml - strlen(xml) - 1);
    for (unsigned i = 0; i < 64; i++)
        (void)strncat(xml, "</a>", sizeof xml - strlen(xml) - 1);
    assert_null(parse(xml));
}

static void an_entity_of_a_document_is_not_fetched(void **state)
{
    (void)state;
    json_t *json = parse(
        "<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/hostname\">]><a><b>x</b><c>&e;</c></a>");
    if (json != NULL) /* refusing it is as good */
        assert_string_equal(json_string_value(json_object_get(json, "c")), "");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_has_its_words_encoded),
        cmocka_unit_test(a_list_is_numbered),
        cmocka_unit_test(what_does_not_fit_a_form_is_remembered),
        cmocka_unit_test(xml_becomes_json),
        cmocka_unit_test(what_is_no_xml_is_refused),
        cmocka_unit_test(xml_that_is_too_deep_is_refused),
        cmocka_unit_test(an_entity_of_a_document_is_not_fetched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
