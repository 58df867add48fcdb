package parse

import (
	"strings"

	"github.com/klippa-app/go-pdfium/enums"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/responses"
)

// maxNotes bounds the annotations that are read of a page.
const maxNotes = 2000

// notes are the values of a page's form fields and the comments on it. What
// cannot be read of them is left out: the page's text stands without.
func (d *pdfDocument) notes(n int) []string {
	if d.trapped {
		return nil
	}
	count, err := d.engine.FPDFPage_GetAnnotCount(&requests.FPDFPage_GetAnnotCount{Page: d.at(n)})
	if err != nil {
		d.failed(err)
		return nil
	}
	var notes []string
	fields := false
	for i := 0; i < min(count.Count, maxNotes) && !d.trapped; i++ {
		note, widget := d.note(n, i)
		fields = fields || widget
		if note != "" {
			notes = append(notes, note)
		}
	}
	if fields && !d.trapped {
		notes = append(notes, d.fields(n)...)
	}
	return notes
}

// note is the comment of an annotation, or that it is a form field.
func (d *pdfDocument) note(n, i int) (text string, field bool) {
	annotation, err := d.engine.FPDFPage_GetAnnot(&requests.FPDFPage_GetAnnot{Page: d.at(n), Index: i})
	if err != nil {
		d.failed(err)
		return "", false
	}
	defer func() {
		_, err := d.engine.FPDFPage_CloseAnnot(&requests.FPDFPage_CloseAnnot{Annotation: annotation.Annotation})
		if err != nil {
			d.failed(err)
		}
	}()
	kind, err := d.engine.FPDFAnnot_GetSubtype(&requests.FPDFAnnot_GetSubtype{Annotation: annotation.Annotation})
	if err != nil {
		d.failed(err)
		return "", false
	}
	switch kind.Subtype {
	case enums.FPDF_ANNOT_SUBTYPE_WIDGET:
		return "", true
	case enums.FPDF_ANNOT_SUBTYPE_LINK, enums.FPDF_ANNOT_SUBTYPE_POPUP, enums.FPDF_ANNOT_SUBTYPE_PRINTERMARK:
		return "", false
	}
	return d.contents(annotation.Annotation), false
}

func (d *pdfDocument) contents(annotation references.FPDF_ANNOTATION) string {
	contents, err := d.engine.FPDFAnnot_GetStringValue(&requests.FPDFAnnot_GetStringValue{Annotation: annotation, Key: "Contents"})
	if err != nil {
		d.failed(err)
		return ""
	}
	return contents.Value
}

// fields are the filled fields of a page's form, each as "name: value".
func (d *pdfDocument) fields(n int) []string {
	form, err := d.engine.GetForm(&requests.GetForm{Page: d.at(n)})
	if err != nil {
		d.failed(err)
		return nil
	}
	var filled []string
	for _, f := range form.Fields {
		name := f.ToolTip
		if strings.TrimSpace(name) == "" {
			name = f.Name
		}
		if value := fieldValue(f); strings.TrimSpace(value) != "" {
			filled = append(filled, name+": "+value)
		}
	}
	return filled
}

func fieldValue(f responses.FormField) string {
	switch {
	case len(f.Values) > 0:
		return strings.Join(f.Values, ", ")
	case f.Type == enums.FPDF_FORMFIELD_TYPE_CHECKBOX && f.IsChecked != nil && *f.IsChecked:
		return "✓"
	case f.Type == enums.FPDF_FORMFIELD_TYPE_PUSHBUTTON, f.Value == nil:
		return ""
	default:
		return *f.Value
	}
}
